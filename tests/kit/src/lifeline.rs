//! A child process that cannot outlive this one.
//!
//! `kill_on_drop` and `Drop` are not enough: a test process that is killed runs neither. So a shell beside each child
//! waits on a pipe that only this process holds; when the pipe closes, for whatever reason, the shell kills the child.

use std::process::{Child, Command, Stdio};

/// Kills process `pid` when this value is dropped or this process ends, however it ends.
#[derive(Debug)]
pub struct Lifeline(Child);

impl Lifeline {
    /// Ties process `pid` to this process.
    ///
    /// # Errors
    /// When no shell can be started.
    pub fn hold(pid: u32) -> std::io::Result<Self> {
        let watch = Command::new("sh")
            .args(["-c", "cat >/dev/null; kill -9 \"$0\" 2>/dev/null", &pid.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(watch))
    }

    /// Lets go: the child has ended and its id may soon be another's.
    pub fn release(mut self) {
        let _ = self.0.kill();
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventually;
    use std::time::Duration;

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().expect("sleep starts")
    }

    #[tokio::test]
    async fn kills_when_dropped() {
        let mut child = sleeper();
        drop(Lifeline::hold(child.id()).unwrap());
        eventually("the child has ended", Duration::from_secs(5), || {
            let ended = child.try_wait().unwrap();
            async move { ended }
        })
        .await;
    }

    #[test]
    fn leaves_a_released_process_alone() {
        let mut child = sleeper();
        Lifeline::hold(child.id()).unwrap().release();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
