//! CRC-32 as in zip and PNG: polynomial 0xEDB88320, reflected. It tells damage, not malice.

const TABLES: [[u32; 256]; 4] = tables();

const fn tables() -> [[u32; 256]; 4] {
    let mut tables = [[0; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let (mut value, mut bit) = (byte as u32, 0);
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        tables[0][byte] = value;
        byte += 1;
    }
    let mut further = 1;
    while further < 4 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[further - 1][byte];
            tables[further][byte] = before >> 8 ^ tables[0][(before & 255) as usize];
            byte += 1;
        }
        further += 1;
    }
    tables
}

/// The checksum of some bytes; four of them at a step.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let mut value = u32::MAX;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        value ^= u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        let [a, b, c, d] = value.to_le_bytes().map(usize::from);
        value = TABLES[3][a] ^ TABLES[2][b] ^ TABLES[1][c] ^ TABLES[0][d];
    }
    for &byte in words.remainder() {
        value = value >> 8 ^ TABLES[0][usize::from(value as u8 ^ byte)];
    }
    !value
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn known_values() {
        assert_eq!(checksum(b""), 0);
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
        assert_eq!(checksum(b"The quick brown fox jumps over the lazy dog"), 0x414f_a339);
    }
}
