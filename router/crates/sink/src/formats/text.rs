//! The buffer that formats write into: bytes that are always initialised, so that a writer first makes room for a whole
//! record and then fills it by index, without growing, zeroing or allocating value by value.

/// Text in the making; reused from delivery to delivery.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// The text, then room: whatever is left of earlier text.
    bytes: Vec<u8>,
    len: usize,
}

impl Text {
    /// Nothing yet.
    pub fn new() -> Self {
        Text::default()
    }

    /// How many bytes are written.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Forgets what is written beyond the first `len` bytes; the room stays.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Forgets what is written; the room stays.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Gives the text away and begins anew, without room.
    pub fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(self.len);
        self.len = 0;
        bytes
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let at = self.len;
        self.room(bytes.len())[at..at + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// The whole buffer with at least `room` bytes after the text. Write from [`len`](Self::len) on, then
    /// [`set_len`](Self::set_len).
    pub(crate) fn room(&mut self, room: usize) -> &mut [u8] {
        let need = self.len + room;
        if self.bytes.len() < need {
            self.bytes.resize(need.next_power_of_two().max(4096), 0);
        }
        &mut self.bytes
    }

    /// Says how far the text reaches now.
    pub(crate) fn set_len(&mut self, len: usize) {
        assert!(len <= self.bytes.len(), "within the room");
        self.len = len;
    }
}
