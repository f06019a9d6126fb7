//! The app's routes, asked as a client does. `Service` in `chassis::testing` does more: see docs/testing-a-service.md.

use chassis::testing::{self, Service};
use service::{SERVICE, app::router};

use super::app_env;

#[tokio::test]
async fn the_description_is_a_route() {
    let service = Service::start(SERVICE, router, testing::read(app_env())).await.expect("it starts");
    assert_eq!(service.get("/openapi.json").await.status, 200);
}
