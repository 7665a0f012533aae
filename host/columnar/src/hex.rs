//! Bytes as hexadecimal text, and the hyphenated text of UUIDs.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Where the hyphens of a UUID's text are: before these bytes.
const HYPHENS: [usize; 4] = [4, 6, 8, 10];

/// Appends two lower-case digits a byte.
pub fn write(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() * 2);
    for &byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Appends the bytes that the digits, in either case, stand for. False, with nothing appended: the text has an odd
/// length or another character.
pub fn read(text: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    if !text.len().is_multiple_of(2) {
        return false;
    }
    for pair in text.chunks_exact(2) {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
            out.truncate(start);
            return false;
        };
        out.push(high << 4 | low);
    }
    true
}

/// Appends a UUID's 36 characters.
pub fn write_uuid(bytes: &[u8], out: &mut Vec<u8>) {
    for (index, &byte) in bytes.iter().enumerate() {
        if HYPHENS.contains(&index) {
            out.push(b'-');
        }
        write(&[byte], out);
    }
}

/// A UUID's sixteen bytes from its 36 characters or its 32 digits. None: it is neither.
pub fn read_uuid(text: &[u8]) -> Option<[u8; 16]> {
    let mut digits = Vec::with_capacity(32);
    if text.len() == 36 {
        for (index, &byte) in text.iter().enumerate() {
            if matches!(index, 8 | 13 | 18 | 23) {
                if byte != b'-' {
                    return None;
                }
            } else {
                digits.push(byte);
            }
        }
    } else {
        digits.extend_from_slice(text);
    }
    let mut bytes = Vec::with_capacity(16);
    if !read(&digits, &mut bytes) {
        return None;
    }
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_way_to_hexadecimal_and_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let (mut text, mut back) = (Vec::new(), Vec::new());
        write(&bytes, &mut text);
        assert!(read(&text, &mut back));
        assert_eq!(back, bytes);
        assert!(read(&text.to_ascii_uppercase(), &mut Vec::new()));
    }

    #[test]
    fn what_is_not_hexadecimal_leaves_nothing_behind() {
        for text in ["a", "0g", "12 4", "zz"] {
            let mut out = b"kept".to_vec();
            assert!(!read(text.as_bytes(), &mut out));
            assert_eq!(out, b"kept");
        }
    }

    #[test]
    fn a_uuid_is_read_as_it_is_written() {
        let text = b"0f8fad5b-d9cb-469f-a165-70867728950e";
        let bytes = read_uuid(text).unwrap();
        let mut out = Vec::new();
        write_uuid(&bytes, &mut out);
        assert_eq!(out, text);
        assert_eq!(read_uuid(b"0F8FAD5BD9CB469FA16570867728950E"), Some(bytes));
        assert_eq!(read_uuid(b"0f8fad5b+d9cb-469f-a165-70867728950e"), None);
    }
}
