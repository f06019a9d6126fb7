//! The battery app for uWSGI: what `tests/it` loads.

#[allow(dead_code, unreachable_pub, reason = "its `main` is another way to run it")]
#[path = "../../chassis/tests/programs/battery.rs"]
mod battery;

uwsgi_plugin::export!(battery_start, battery_request, battery_stop, battery::Settings, async |_, _| {
    Ok::<_, std::convert::Infallible>(battery::routes())
});
