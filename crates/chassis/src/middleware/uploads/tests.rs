//! Which upload gives way, and when none does.
//!
//! Next: [`super`].

use std::task::Waker;

use super::*;
use crate::values::Size;

fn uploads(max_uploads: usize, max_upload_bytes: u64) -> Uploads {
    let settings = Settings { max_uploads, max_upload_bytes: Size::bytes(max_upload_bytes), ..Settings::default() };
    Uploads::new(Arc::new(ArcSwap::from_pointee(settings)), &Registry::new())
}

fn is_shed(upload: &mut Tracked) -> bool {
    upload.waits(&Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_the_one_with_the_least_progress_gives_way_and_never_the_new_one() {
    let uploads = uploads(2, u64::MAX);
    let (mut slow, mut fast, mut new) = (Tracked::new(&uploads), Tracked::new(&uploads), Tracked::new(&uploads));
    assert!(!is_shed(&mut slow) && !is_shed(&mut fast));
    tokio::time::advance(Duration::from_secs(5)).await;
    drop((slow.part(Bytes::from_static(b"x")), fast.part(vec![0; 1000].into())));
    assert!(!is_shed(&mut new));
    assert!(is_shed(&mut slow) && !is_shed(&mut fast) && !is_shed(&mut new));
    assert_eq!((uploads.0.count.get(), uploads.0.shed.get()), (3, 1));
    drop(slow);
    assert_eq!((uploads.0.count.get(), uploads.0.lock().leaving), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_of_bytes_one_that_holds_few_does_not_give_way() {
    let uploads = uploads(10, 1000);
    let (mut idle, mut large) = (Tracked::new(&uploads), Tracked::new(&uploads));
    let few = idle.part(vec![0; 10].into());
    let first = large.part(vec![0; 900].into());
    assert_eq!(uploads.0.bytes.get(), 910);
    tokio::time::advance(Duration::from_secs(5)).await;
    let second = large.part(vec![0; 200].into());
    assert!(is_shed(&mut large) && !is_shed(&mut idle));
    drop((few, first, second));
    assert_eq!(uploads.0.bytes.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_holds_all_the_bytes_has_the_limit_of_its_route_only() {
    let uploads = uploads(10, 1000);
    let (mut large, mut other) = (Tracked::new(&uploads), Tracked::new(&uploads));
    let held: Vec<_> = (0..5).map(|_| large.part(vec![0; 900].into())).collect();
    assert!(!is_shed(&mut large));
    let few = other.part(vec![0; 10].into());
    assert!(is_shed(&mut large) && !is_shed(&mut other), "two have to share");
    drop((held, few));
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_complete_body_are_its_handlers_and_hide_no_other_upload() {
    let uploads = uploads(10, 1000);
    let mut ended = Tracked::new(&uploads);
    let kept = ended.part(vec![0; 900].into());
    ended.end();
    assert_eq!(uploads.0.bytes.get(), 0);
    // Many small ones: their shares are those of what uploads in progress hold.
    let mut small: Vec<_> = (0..4).map(|_| Tracked::new(&uploads)).collect();
    let held: Vec<_> = small.iter_mut().map(|upload| upload.part(vec![0; 240].into())).collect();
    assert!(!small.iter_mut().any(is_shed), "960 of 1000 bytes");
    let more = small[0].part(vec![0; 100].into());
    assert_eq!(small.iter_mut().filter_map(|upload| is_shed(upload).then_some(())).count(), 1);
    drop((kept, held, more));
    assert_eq!(uploads.0.bytes.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_one_that_was_told_to_end_end_no_other() {
    let uploads = uploads(10, 1000);
    let mut all: Vec<_> = (0..4).map(|_| Tracked::new(&uploads)).collect();
    let mut held: Vec<_> = all.iter_mut().map(|upload| upload.part(vec![0; 250].into())).collect();
    tokio::time::advance(Duration::from_secs(5)).await;
    for upload in &mut all {
        held.push(upload.part(vec![0; 10].into()));
    }
    assert_eq!(uploads.0.shed.get(), 1, "its 250 bytes leave room for what came since");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn however_many_begin_at_once_one_that_makes_progress_stays() {
    let uploads = uploads(64, u64::MAX);
    let mut honest = Tracked::new(&uploads);
    assert!(!is_shed(&mut honest));
    tokio::time::advance(Duration::from_secs(10)).await;
    drop(honest.part(vec![0; 100_000].into()));
    let mut silent = Vec::new();
    for _ in 0..200 {
        tokio::time::advance(Duration::from_millis(1)).await;
        let mut new = Tracked::new(&uploads);
        assert!(!is_shed(&mut new));
        silent.push(new);
    }
    assert!(!is_shed(&mut honest));
    let shed: Vec<_> = silent.iter_mut().map(is_shed).collect();
    assert_eq!(shed.iter().filter(|is_shed| **is_shed).count(), 137);
    assert!(shed[..137].iter().all(|is_shed| *is_shed), "the oldest first");
}
