//! Inputs that describe changes of good bytes, which a fuzzer without the keys cannot make.

/// Applies `input` to `good`. An empty input changes nothing. An even byte is followed by the new bytes; an odd one by
/// steps of four bytes: the operation, its place (two bytes), and a value.
pub fn alter(good: &[u8], input: &[u8]) -> Vec<u8> {
    let Some((mode, rest)) = input.split_first() else { return good.to_vec() };
    if mode % 2 == 0 {
        return rest.to_vec();
    }
    let mut bytes = good.to_vec();
    for step in rest.as_chunks::<4>().0 {
        let [operation, high, low, value] = *step;
        let at = usize::from(u16::from_be_bytes([high, low])) % (bytes.len() + 1);
        match operation % 4 {
            0 if at < bytes.len() => bytes[at] ^= value,
            1 => bytes.insert(at, value),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => bytes.truncate(at),
            _ => {}
        }
    }
    bytes
}

/// Inputs of [`alter`], one of each kind.
pub fn samples() -> Vec<Vec<u8>> {
    vec![
        vec![],
        vec![0],
        vec![1],
        vec![1, 0, 0, 0, 1],
        vec![1, 0, 0, 200, 128],
        vec![1, 1, 0, 7, b'='],
        vec![1, 2, 0, 3, 0],
        vec![1, 3, 0, 30, 0],
        vec![1, 0, 0, 9, 1, 0, 0, 9, 1],
    ]
}
