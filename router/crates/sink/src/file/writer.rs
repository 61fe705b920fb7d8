//! The live file and its sidecar, kept in step.
//!
//! What the sidecar says is confirmed; everything in the live file beyond that is cut when the file is opened and
//! whenever a delivery did not end well. So a record is in the files exactly once, whatever happens between two steps.
//!
//! Rotation, each step durable before the next: the sidecar says which name the live file is about to get; the file is
//! renamed; the sidecar says that a new live file begins. When opening, a name that was announced tells where it stopped.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use forebay_model::Fault;

use super::config::{Layout, RotateConfig};
use super::disk;
use super::sidecar::{Confirmed, Found, Sidecar};
use crate::{Mark, codes};

#[derive(Debug)]
pub(super) struct Writer {
    layout: Layout,
    live: PathBuf,
    sidecar: Sidecar,
    confirmed: Confirmed,
    /// Something failed: what is confirmed must be read again from the sidecar before anything else.
    uncertain: bool,
    /// The live file; none until there is something to write into a new one.
    file: Option<File>,
    /// How far the live file is written; beyond what is confirmed only within a delivery.
    written: u64,
    /// Where the route started.
    start: Mark,
    sync: bool,
    rotate: RotateConfig,
}

impl Writer {
    /// Opens the files, finishes a rotation that stopped half-way, and cuts what was never confirmed. `now` is in seconds
    /// since 1970.
    pub(super) fn open(
        layout: Layout,
        rotate: RotateConfig,
        sync: bool,
        start: Mark,
        now: u64,
    ) -> Result<Writer, Fault> {
        disk::make_folder(&layout.folder)?;
        let sidecar = Sidecar::open(layout.sidecar())?;
        let mut writer = Writer {
            live: layout.live(),
            layout,
            sidecar,
            confirmed: Confirmed::default(),
            uncertain: true,
            file: None,
            written: 0,
            start,
            sync,
            rotate,
        };
        writer.recover(now)?;
        Ok(writer)
    }

    /// What the files hold.
    pub(super) fn mark(&self) -> Option<Mark> {
        self.confirmed.mark
    }

    /// Before a delivery: closes the file if it is due.
    pub(super) fn begin(&mut self, now: u64) -> Result<(), Fault> {
        if self.uncertain {
            self.recover(now)?;
        }
        let Confirmed { length, begun, mark, .. } = &self.confirmed;
        let full = self.rotate.bytes.is_some_and(|bytes| *length >= bytes);
        let old = self.rotate.seconds.is_some_and(|seconds| now.saturating_sub(*begun) >= seconds);
        if *length > 0 && mark.is_some() && (full || old) {
            self.announce_rotation()?;
            self.finish_rotation(now)?;
        }
        Ok(())
    }

    /// Appends to the live file; it counts once it is confirmed.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let file = match &self.file {
            Some(file) => file,
            None => {
                let file = disk::open(&self.live)?;
                if !disk::is_in_place(&file, &self.live, 0) {
                    return Err(foreign(&self.live));
                }
                disk::sync_folder(&self.layout.folder)?;
                self.file.insert(file)
            }
        };
        disk::write_at(file, &self.live, self.written, bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Makes everything written up to here count, durably if so configured, and moves the mark.
    pub(super) fn confirm(&mut self, mark: Mark) -> Result<(), Fault> {
        let wrote = self.written > self.confirmed.length;
        if wrote && let Some(file) = &self.file {
            if !disk::is_in_place(file, &self.live, self.written) {
                return Err(damaged(
                    &self.live,
                    "was moved, replaced or cut by somebody else while it was written",
                ));
            }
            if self.sync {
                disk::sync(file, &self.live)?;
            }
        }
        let mut next = Confirmed { length: self.written, mark: Some(mark), ..self.confirmed.clone() };
        // a mark that moves without a record promises nothing about data, so it need not be durable
        self.sidecar.write(&mut next, self.sync && wrote)?;
        self.confirmed = next;
        Ok(())
    }

    /// After a delivery that failed: gives back the space of what was not confirmed. If even that fails, the next delivery
    /// begins with it.
    pub(super) fn give_up(&mut self, now: u64) -> Result<(), Fault> {
        self.uncertain = true;
        self.recover(now)
    }

    /// Brings the writer and its files to what the sidecar says.
    fn recover(&mut self, now: u64) -> Result<(), Fault> {
        self.file = None;
        let begun_already = disk::length(&self.live)?.is_some_and(|length| length > 0);
        self.confirmed = match self.sidecar.read()? {
            Found::Record(confirmed) => confirmed,
            // the live file is made after the sidecar's first record, so it cannot be ours
            Found::Nothing if begun_already => return Err(foreign(&self.live)),
            Found::Damaged if begun_already => return Err(damaged(&self.layout.sidecar(), "cannot be read")),
            Found::Nothing | Found::Damaged => {
                let mut begin = Confirmed { first: self.start.offset, begun: now, ..Confirmed::default() };
                self.sidecar.write(&mut begin, true)?;
                disk::sync_folder(&self.layout.folder)?;
                begin
            }
        };
        self.finish_rotation(now)?;
        self.open_live()?;
        // the sidecar may say what only the memory of the operating system knows yet, if a sync has failed
        let mut again = self.confirmed.clone();
        self.sidecar.write(&mut again, self.sync)?;
        self.confirmed = again;
        self.written = self.confirmed.length;
        self.uncertain = false;
        Ok(())
    }

    fn announce_rotation(&mut self) -> Result<(), Fault> {
        let mut again = 0;
        let name = loop {
            let name = self.layout.closed_name(self.confirmed.first, again);
            if disk::length(&self.layout.folder.join(&name))?.is_none() {
                break name;
            }
            again += 1;
        };
        let mut next = Confirmed { closing: Some(name), ..self.confirmed.clone() };
        self.sidecar.write(&mut next, true)?;
        self.confirmed = next;
        Ok(())
    }

    /// From wherever a rotation stands to its end.
    fn finish_rotation(&mut self, now: u64) -> Result<(), Fault> {
        let Some(name) = &self.confirmed.closing else { return Ok(()) };
        let closed = self.layout.folder.join(name);
        let mut next = Confirmed { closing: None, ..self.confirmed.clone() };
        match (disk::length(&self.live)?, disk::length(&closed)?) {
            // somebody has taken the name meanwhile: nothing is ever overwritten, and the rotation stays due
            (Some(_), Some(_)) => {}
            // both gone: nothing to rename; whether that is damage is for the check of the length
            (None, None) => {}
            (live, _) => {
                if live.is_some() {
                    disk::rename(&self.live, &closed)?;
                }
                self.file = None;
                disk::sync_folder(&self.layout.folder)?;
                let first = next.mark.map_or(next.first, |mark| mark.offset);
                next = Confirmed { length: 0, first, begun: now, ..next };
            }
        }
        self.sidecar.write(&mut next, true)?;
        self.written = next.length;
        self.confirmed = next;
        Ok(())
    }

    /// Opens the live file if there is one, cuts a tail that was never confirmed, and refuses a file that lacks what was.
    fn open_live(&mut self) -> Result<(), Fault> {
        let file = match disk::length(&self.live)? {
            Some(_) => Some(disk::open(&self.live)?),
            None => None,
        };
        let length = match &file {
            Some(file) => file.metadata().map_err(|e| disk::fault("cannot look at", &self.live, e))?.len(),
            None => 0,
        };
        if length < self.confirmed.length {
            // an offset set by hand since then is the operator's word that this file's past does not matter
            let replay = self.confirmed.mark.is_some_and(|mark| self.start.epoch > mark.epoch);
            if !replay {
                let expected = self.confirmed.length;
                return Err(damaged(
                    &self.live,
                    &format!("has {length} bytes where {expected} were confirmed"),
                ));
            }
            self.confirmed.length = match &file {
                Some(file) => {
                    whole_lines(file, length).map_err(|e| disk::fault("cannot read", &self.live, e))?
                }
                None => 0,
            };
        }
        if let Some(file) = &file
            && length > self.confirmed.length
        {
            disk::cut(file, &self.live, self.confirmed.length)?;
            disk::sync(file, &self.live)?;
        }
        self.file = file;
        Ok(())
    }
}

/// How many of the first `length` bytes are whole lines.
fn whole_lines(file: &File, length: u64) -> std::io::Result<u64> {
    let mut buffer = vec![0; 64 << 10];
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(buffer.len() as u64);
        let piece = &mut buffer[..(end - start) as usize];
        file.read_exact_at(piece, start)?;
        if let Some(at) = piece.iter().rposition(|&b| b == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn foreign(path: &std::path::Path) -> Fault {
    Fault::new(codes::FILE_FOREIGN, format!("{} exists and was not begun by this sink", path.display()))
        .fix("move it away, or choose another path")
}

fn damaged(path: &std::path::Path, how: &str) -> Fault {
    Fault::new(codes::FILE_DAMAGED, format!("{} {how}", path.display())).fix(
        "bring the file and its .mark back together, or move both away and set the route's offset to replay from there",
    )
}
