//! Frames, wherever the network cuts them.

use super::*;

const SETTLED: [u8; 9] = [0, 0, 0, SETTINGS, 0, 0, 0, 0, 0];
const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

fn settled() -> Frames {
    let mut frames = Frames::new(0);
    assert_eq!(frames.receive(&SETTLED), Seen::Now(None));
    frames
}

#[test]
fn the_first_settings_are_waited_for() {
    let mut frames = Frames::new(0);
    assert_eq!(frames.receive(&SETTLED[..4]), Seen::Same);
    assert_eq!(frames.receive(&SETTLED[4..]), Seen::Now(None));
}

#[test]
fn whatever_way_bytes_are_cut_a_frame_is_whole_at_its_end() {
    for cut in 1..PING.len() {
        let mut frames = settled();
        assert_eq!(frames.receive(&PING[..cut]), Seen::Now(Some(Half::Frame)), "{cut}");
        assert_eq!(frames.receive(&PING[cut..]), Seen::Now(None), "{cut}");
    }
}

#[test]
fn another_half_frame_is_another_wait_and_more_of_it_is_not() {
    let mut frames = settled();
    assert_eq!(frames.receive(&[&PING[..], &PING[..3]].concat()), Seen::Now(Some(Half::Frame)));
    assert_eq!(frames.receive(&PING[3..5]), Seen::Same);
    assert_eq!(frames.receive(&[&PING[5..], &PING[..3]].concat()), Seen::Now(Some(Half::Frame)));
}

#[test]
fn a_header_block_is_one_thing() {
    let mut frames = settled();
    assert_eq!(frames.receive(&[0, 0, 1, HEADERS, 1, 0, 0, 0, 1, 0x82]), Seen::Now(Some(Half::Frame)));
    assert_eq!(frames.receive(&[0, 0, 0, CONTINUATION, 0, 0, 0, 0, 1]), Seen::Same);
    assert_eq!(frames.receive(&[0, 0, 0, CONTINUATION, END_HEADERS, 0, 0, 0, 1]), Seen::Now(None));
}

#[test]
fn all_bytes_of_what_is_incomplete_count_and_none_of_a_body() {
    let mut frames = settled();
    let mut incomplete = |bytes: &[u8]| {
        frames.receive(bytes);
        frames.incomplete()
    };
    assert_eq!(incomplete(&[0, 0, 1, HEADERS, 1, 0, 0, 0, 1, 0x82]), 10);
    assert_eq!(incomplete(&[0, 0, 4, CONTINUATION]), 14);
    assert_eq!(incomplete(&[END_HEADERS, 0, 0, 0, 1, 1, 2, 3]), 22);
    assert_eq!(incomplete(&[4]), 0);
    assert_eq!(incomplete(&[&PING[..], &PING[..12]].concat()), 12);
    assert_eq!(incomplete(&[&PING[12..], &[0, 0, 200, DATA, 0, 0, 0, 0, 1, b'a']].concat()), 0);
    assert_eq!(Frames::new(0).incomplete(), 0);
}

#[tokio::test(start_paused = true)]
async fn empty_parts_of_bodies_are_control_frames() {
    let hollow = |flags| [0, 0, 0, DATA, flags, 0, 0, 0, 1];
    let mut frames = settled();
    assert_eq!(frames.receive(&hollow(END_STREAM).repeat(1100)), Seen::Same);
    // The SETTINGS were the first of a thousand.
    assert_eq!(frames.receive(&hollow(0).repeat(999)), Seen::Same);
    assert_eq!(frames.receive(&hollow(0)), Seen::Flood);
}

#[test]
fn an_error_of_the_connection_is_the_peers_by_its_code() {
    let malformed = Some(Closed::Malformed);
    for (code, reason) in [(0, None), (1, malformed), (2, None), (6, malformed), (11, Some(Closed::Flood))] {
        let mut frames = settled();
        frames.send(&[IoSlice::new(&[0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, code])]);
        assert_eq!(frames.take_fault(), reason, "{code}");
    }
}

#[test]
fn a_piece_of_a_body_is_told_apart() {
    let mut frames = settled();
    assert_eq!(frames.receive(&[0, 0, 2, DATA]), Seen::Now(Some(Half::Frame)));
    assert_eq!(frames.receive(&[0, 0, 0, 0, 1, b'a']), Seen::Now(Some(Half::Data)));
    assert_eq!(frames.receive(b"b"), Seen::Now(None));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_a_second_are_no_flood() {
    let mut frames = settled();
    for _ in 0..100 {
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert_eq!(frames.receive(&PING.repeat(99)), Seen::Same);
    }
    assert_eq!(frames.receive(&PING.repeat(1100)), Seen::Flood);
}

#[tokio::test(start_paused = true)]
async fn frames_of_answers_allow_for_more() {
    let mut frames = settled();
    for _ in 0..1000 {
        frames.send(&[IoSlice::new(&[0, 0, 1, DATA, 0, 0, 0, 0, 1, b'a'])]);
        assert_eq!(frames.receive(&PING.repeat(10)), Seen::Same);
    }
    for _ in 0..200 {
        // Acknowledging a PING allows for none.
        frames.send(&[IoSlice::new(&PING)]);
    }
    assert_eq!(frames.receive(&PING.repeat(1000)), Seen::Flood);
}
