"""What the document cannot say of the sample's routes, for schemathesis."""

import re

import schemathesis

# Some of the countries in the built-in table. Which are served is data, so the schema only tells what a code looks like.
SERVED = ["DE", "FR", "JP", "US", "ZA"]
# Any work within its bounds is taken; this much of it is enough here.
ENOUGH_MS = 5


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.path == "/v1/quotes" and isinstance(case.body, dict):
        for end in ("from", "to"):
            code = case.body.get(end)
            if isinstance(code, str) and re.fullmatch("[A-Z]{2}", code):
                case.body[end] = SERVED[sum(code.encode()) % len(SERVED)]
    if case.path == "/v1/work" and isinstance(case.query, dict):
        for name, most in (("cpu_ms", 1000), ("sleep_ms", 10_000)):
            asked = case.query.get(name)
            if re.fullmatch("[0-9]{1,5}", str(asked)) and ENOUGH_MS < int(asked) <= most:
                case.query[name] = ENOUGH_MS
