//! Inputs that say how to change good bytes, which a fuzzer without the keys cannot make.

/// What `input` makes of `good`. No input leaves it as it is. After an even byte follow the bytes to use in its place;
/// after an odd one steps of four bytes: what to do, where (two bytes), and a value.
pub fn alter(good: &[u8], input: &[u8]) -> Vec<u8> {
    let Some((mode, rest)) = input.split_first() else { return good.to_vec() };
    if mode % 2 == 0 {
        return rest.to_vec();
    }
    let mut bytes = good.to_vec();
    for step in rest.as_chunks::<4>().0 {
        let [what, high, low, value] = *step;
        let at = usize::from(u16::from_be_bytes([high, low])) % (bytes.len() + 1);
        match what % 4 {
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
