use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use http::StatusCode;
use tokio::time;

use super::*;

fn checks() -> (Checks, Registry) {
    let registry = Registry::new();
    (Checks::new(&registry).unwrap(), registry)
}

fn metric(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    families.iter().find(|family| family.name() == name).unwrap().get_metric()[0].get_gauge().get_value()
}

/// Lets paused time run until `state` holds.
async fn until(state: impl Fn() -> bool) {
    let wait = async {
        while !state() {
            time::advance(Duration::from_millis(10)).await;
            tokio::task::yield_now().await;
        }
    };
    time::timeout(Duration::from_mins(10), wait).await.expect("a state that comes");
}

#[tokio::test(start_paused = true)]
async fn a_hard_check_holds_readiness_until_it_is_up() {
    let (checks, registry) = checks();
    let well = Arc::new(AtomicBool::new(false));
    let probe = Arc::clone(&well);
    let check = Check::new("disk", Kind::Hard, move || {
        let well = probe.load(SeqCst);
        async move { if well { Ok(()) } else { Err("full".into()) } }
    });
    checks.register(check).unwrap();
    assert!(!checks.ready());
    checks.start(&Handle::current());
    until(|| matches!(&checks.verdicts()[0].2, Verdict::Down { reason, .. } if &**reason == "full")).await;
    assert!(!checks.ready() && !checks.degraded());

    well.store(true, SeqCst);
    until(|| checks.ready()).await;
    assert_eq!(checks.verdicts(), [("disk", Kind::Hard, Verdict::Up)]);
    assert!((metric(&registry, "health_check_up") - 1.0).abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn a_soft_check_only_degrades() {
    let (checks, registry) = checks();
    checks.register(Check::new("rates", Kind::Soft, || async { Err("away".into()) })).unwrap();
    assert!(checks.ready() && !checks.degraded());
    checks.start(&Handle::current());
    until(|| checks.degraded()).await;
    assert!(checks.ready());
    assert!((metric(&registry, "health_degraded") - 1.0).abs() < f64::EPSILON);
    assert!(metric(&registry, "health_check_up").abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_or_panicking_probe_is_down() {
    let (checks, _) = checks();
    checks.register(Check::new("hangs", Kind::Hard, std::future::pending)).unwrap();
    checks.register(Check::new("panics", Kind::Hard, || async { panic!("as the test wants") })).unwrap();
    checks.start(&Handle::current());
    until(|| checks.verdicts().iter().all(|(_, _, verdict)| matches!(verdict, Verdict::Down { .. }))).await;
}

#[tokio::test(start_paused = true)]
async fn runs_do_not_overlap_and_rest_for_the_interval() {
    let (checks, _) = checks();
    let (runs, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (Arc::clone(&runs), Arc::clone(&open));
    let check = Check::new("slow", Kind::Soft, move || {
        let (runs, open) = counted.clone();
        async move {
            assert_eq!(open.fetch_add(1, SeqCst), 0);
            time::sleep(Duration::from_secs(1)).await;
            open.fetch_sub(1, SeqCst);
            runs.fetch_add(1, SeqCst);
            Ok(())
        }
    });
    checks.register(check.every(Duration::from_secs(2))).unwrap();
    let begin = time::Instant::now();
    checks.start(&Handle::current());
    // A second start must not run it twice.
    checks.start(&Handle::current());
    until(|| runs.load(SeqCst) == 5).await;
    let spent = begin.elapsed().as_secs_f64();
    assert!((12.0..14.5).contains(&spent), "five runs of 1 s and four rests of 2 s, give or take: {spent}");
}

#[test]
fn a_name_is_registered_once() {
    let (checks, _) = checks();
    let check = Check::new("disk", Kind::Hard, || async { Ok(()) });
    checks.register(check.clone()).unwrap();
    assert_eq!(checks.register(check), Err(DuplicateCheck("disk")));
}

const MIXED: [(&str, Outcome); 3] =
    [("heartbeat", Outcome::Passed), ("rates", Outcome::Degraded), ("disk", Outcome::Failed)];

#[test]
fn a_passing_probe_is_terse_unless_asked() {
    assert_eq!(render("readyz", &MIXED[..2], &Options::default()), (StatusCode::OK, "ok".into()));
    let (status, body) = render("readyz", &MIXED[..2], &Options::parse(Some("verbose")));
    assert_eq!(status, 200);
    assert_eq!(body, "[+]heartbeat ok\n[+]rates degraded: reason withheld\nreadyz check passed\n");
}

#[test]
fn a_failing_probe_is_always_verbose() {
    let (status, body) = render("readyz", &MIXED[2..], &Options::default());
    assert_eq!((status.as_u16(), body.as_str()), (503, "[-]disk failed: reason withheld\nreadyz check failed\n"));
}

#[test]
fn an_excluded_check_does_not_count_and_a_misspelt_one_is_told() {
    let options = Options::parse(Some("verbose&exclude=disk&exclude=dsik&other=1"));
    let (status, body) = render("readyz", &MIXED[2..], &options);
    assert_eq!(status, 200);
    let warning = "warn: some health checks cannot be excluded: no matches for \"dsik\"\n";
    assert_eq!(body, format!("[+]disk excluded: ok\n{warning}readyz check passed\n"));
}
