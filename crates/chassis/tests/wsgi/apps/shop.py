"""A shop in Flask, as docs/migrating-from-python.md moves it."""

from flask import Flask, jsonify, request, session

app = Flask(__name__)
app.secret_key = "of the tests"


@app.get("/")
def front():
    return "a shop\n"


@app.post("/photos")
def photos():
    """A form with files: how many bytes each has, and what came beside them."""
    files = {name: [file.filename, file.mimetype, len(file.read())] for name, file in request.files.items()}
    return jsonify(files=files, fields=request.form.to_dict())


@app.get("/prices/<int:number>")
def price(number):
    return jsonify(number=number, cents=100 + number), {"X-By": "python"}


@app.post("/carts/<name>")
def cart(name):
    session["items"] = session.get("items", 0) + 1
    return jsonify(cart=name, items=session["items"])


@app.get("/basket")
def basket():
    return jsonify(items=session.get("items", 0), note=session.get("note"))


@app.post("/notes")
def note():
    session["note"] = request.get_data(as_text=True)
    return "noted\n"


@app.get("/broken")
def broken():
    return 1 / 0
