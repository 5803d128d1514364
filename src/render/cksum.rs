// SPDX-License-Identifier: Apache-2.0
//! The output of POSIX `cksum`: every system has that program, so a script can check a file with it.

/// The generator polynomial of POSIX `cksum`, most significant bit first.
const POLYNOMIAL: u32 = 0x04C1_1DB7;

/// Returns checksum and length, as `cksum` prints them of its standard input.
pub(super) fn cksum(bytes: &[u8]) -> String {
    let mut length = bytes.len();
    let mut crc = bytes.iter().fold(0, |crc, byte| step(crc, *byte));
    // The length is part of the sum, least significant byte first, without leading zero bytes.
    while length > 0 {
        crc = step(crc, length.to_le_bytes()[0]);
        length >>= 8;
    }
    format!("{} {}", !crc, bytes.len())
}

fn step(crc: u32, byte: u8) -> u32 {
    (0..8).fold(crc ^ (u32::from(byte) << 24), |crc, _| {
        if crc & 0x8000_0000 == 0 { crc << 1 } else { (crc << 1) ^ POLYNOMIAL }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_cksum_prints() {
        // POSIX' own: nothing is 4294967295 0. The others are what coreutils printed.
        assert_eq!(cksum(b""), "4294967295 0");
        assert_eq!(cksum(b"k3s-harden\n"), "95381341 11");
        assert_eq!(cksum(&[0x80; 300]), "753087275 300");
    }
}
