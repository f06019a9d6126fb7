//! A request as uwsgi says it: a head of four bytes, and variables with lengths of two.

pub(crate) fn packet(modifier: u8, variables: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&u16::try_from(text.len()).expect("a text").to_le_bytes()[..], text.as_bytes()].concat();
    let block: Vec<u8> = variables.iter().flat_map(|(name, value)| [text(name), text(value)].concat()).collect();
    let length = u16::try_from(block.len()).expect("at most 64 KiB").to_le_bytes();
    [&[modifier, length[0], length[1], 0][..], &block].concat()
}
