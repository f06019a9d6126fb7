//! New keys of the issuer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use chassis::testing::Service;
use tokio::task::JoinSet;

use crate::{
    issuer::{Issuer, Key},
    service::{bearer, start},
};

/// Clients that ask one request after the other with the newest token, and send none twice.
struct Clients {
    asked: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    tasks: JoinSet<Vec<u16>>,
}

impl Clients {
    fn start(service: &Arc<Service>, token: &Arc<std::sync::Mutex<String>>) -> Self {
        let mut clients = Self { asked: Arc::default(), is_over: Arc::default(), tasks: JoinSet::new() };
        for _ in 0..8 {
            let (service, token) = (Arc::clone(service), Arc::clone(token));
            let (asked, is_over) = (Arc::clone(&clients.asked), Arc::clone(&clients.is_over));
            clients.tasks.spawn(async move {
                let mut statuses = Vec::new();
                while !is_over.load(SeqCst) {
                    let token = token.lock().expect("the token").clone();
                    statuses.push(bearer(service.get("/v1/me"), &token).await.status);
                    asked.fetch_add(1, SeqCst);
                }
                statuses
            });
        }
        clients
    }

    /// Waits until so many more requests are answered.
    async fn answers(&self, count: usize) {
        let wanted = self.asked.load(SeqCst) + count;
        while self.asked.load(SeqCst) < wanted {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    async fn statuses(self) -> Vec<u16> {
        self.is_over.store(true, SeqCst);
        self.tasks.join_all().await.concat()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_under_load_fails_no_request() {
    let keys: Vec<Key> = (0..4).map(|number| Key::new(&format!("key-{number}"))).collect();
    let issuer = Issuer::start(&[&keys[0]]).await;
    // Four rotations within a second: as far apart as issuers rotate, the usual pause is never in the way.
    let service = Arc::new(start(&issuer, &[("APP__APP__LOGIN__RENEW_PAUSE", "1ms")]).await);
    let token = Arc::new(std::sync::Mutex::new(keys[0].sign(&issuer.claims(|_| {}))));
    let clients = Clients::start(&service, &token);
    clients.answers(200).await;
    let before = issuer.said.discoveries.load(SeqCst);
    for pair in keys.windows(2) {
        // As issuers do: the new key is there before it signs, and the old one as long as its tokens live.
        issuer.publish(&[&pair[0], &pair[1]]);
        *token.lock().expect("the token") = pair[1].sign(&issuer.claims(|_| {}));
        clients.answers(200).await;
        issuer.publish(&[&pair[1]]);
    }
    let statuses = clients.statuses().await;
    let asked = issuer.said.discoveries.load(SeqCst) - before;
    let failed = statuses.iter().filter(|status| **status != 200).count();
    println!("{} requests in three rotations, {failed} failed; the issuer was asked {asked} times", statuses.len());
    assert_eq!(failed, 0, "{statuses:?}");
}

#[tokio::test]
async fn a_token_with_a_new_key_is_admitted_at_once_and_one_with_a_withdrawn_key_no_more() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let issuer = Issuer::start(&[&old]).await;
    let service = start(&issuer, &[("APP__APP__LOGIN__RENEW_PAUSE", "100ms")]).await;
    let status = async |key: &Key| bearer(service.get("/v1/me"), &key.sign(&issuer.claims(|_| {}))).await.status;
    assert_eq!(status(&old).await, 200);
    issuer.publish(&[&new]);
    // The pause begins with the first keys.
    while status(&new).await != 200 {}
    assert_eq!(status(&old).await, 401);
}

#[tokio::test]
async fn tokens_with_made_up_keys_do_not_load_the_issuer() {
    let key = Key::new("one");
    let issuer = Issuer::start(&[&key]).await;
    let service = start(&issuer, &[("APP__APP__LOGIN__RENEW_PAUSE", "1h")]).await;
    assert_eq!(bearer(service.get("/v1/me"), &key.sign(&issuer.claims(|_| {}))).await.status, 200);
    let before = issuer.said.discoveries.load(SeqCst);
    for _ in 0..20 {
        let forged = Key::new("made-up").sign(&issuer.claims(|_| {}));
        assert_eq!(bearer(service.get("/v1/me"), &forged).await.status, 401);
    }
    assert_eq!(issuer.said.discoveries.load(SeqCst), before);
}
