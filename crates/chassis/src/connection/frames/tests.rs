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

#[test]
fn frames_of_answers_allow_for_more() {
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
