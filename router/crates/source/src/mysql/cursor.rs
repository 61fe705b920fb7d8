//! Reads MySQL's integers and strings from bytes that may be cut short: an error, never a panic.

/// The bytes end too early or mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbled;

/// A place in some bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Cursor(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    #[inline]
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Garbled> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(Garbled)?;
        self.0 = rest;
        Ok(head)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Garbled> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Garbled)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Garbled> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Garbled> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Garbled> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Garbled> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A little-endian number of up to eight bytes.
    pub(crate) fn uint(&mut self, bytes: usize) -> Result<u64, Garbled> {
        let mut all = [0; 8];
        all.get_mut(..bytes).ok_or(Garbled)?.copy_from_slice(self.take(bytes)?);
        Ok(u64::from_le_bytes(all))
    }

    /// A length-encoded integer.
    pub(crate) fn packed(&mut self) -> Result<u64, Garbled> {
        match self.u8()? {
            n @ 0..=250 => Ok(u64::from(n)),
            252 => self.uint(2),
            253 => self.uint(3),
            254 => self.uint(8),
            251 | 255 => Err(Garbled),
        }
    }

    /// A length-encoded integer that counts something in memory.
    pub(crate) fn packed_len(&mut self) -> Result<usize, Garbled> {
        usize::try_from(self.packed()?).map_err(|_| Garbled)
    }

    /// Bytes after their length-encoded length.
    pub(crate) fn packed_bytes(&mut self) -> Result<&'a [u8], Garbled> {
        let n = self.packed_len()?;
        self.take(n)
    }

    /// Bytes up to a zero byte, which is read too.
    pub(crate) fn zero_ended(&mut self) -> Result<&'a [u8], Garbled> {
        let n = self.0.iter().position(|&b| b == 0).ok_or(Garbled)?;
        let head = self.take(n)?;
        self.take(1)?;
        Ok(head)
    }
}

/// Appends a length-encoded integer.
pub(crate) fn put_packed(out: &mut Vec<u8>, n: u64) {
    let bytes = n.to_le_bytes();
    match n {
        0..=250 => out.push(bytes[0]),
        251..=0xffff => out.extend_from_slice(&[252, bytes[0], bytes[1]]),
        0x1_0000..=0xff_ffff => out.extend_from_slice(&[253, bytes[0], bytes[1], bytes[2]]),
        _ => {
            out.push(254);
            out.extend_from_slice(&bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_integers_survive_a_round_trip() {
        for n in [0, 250, 251, 252, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000, u64::MAX] {
            let mut bytes = Vec::new();
            put_packed(&mut bytes, n);
            let mut at = Cursor::new(&bytes);
            assert_eq!((at.packed(), at.is_empty()), (Ok(n), true), "{n}");
            for cut in 0..bytes.len() {
                assert_eq!(Cursor::new(&bytes[..cut]).packed(), Err(Garbled), "{n} cut to {cut}");
            }
        }
    }

    #[test]
    fn short_bytes_are_an_error() {
        assert_eq!(Cursor::new(&[1, 2]).u32(), Err(Garbled));
        assert_eq!(Cursor::new(&[1, 2]).zero_ended(), Err(Garbled));
        assert_eq!(Cursor::new(&[9; 12]).uint(9), Err(Garbled));
        assert_eq!(Cursor::new(&[5, b'a']).packed_bytes(), Err(Garbled));
    }
}
