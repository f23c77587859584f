//! Frames on the LAN. They are taken at the bridge, which sees every frame that enters the switch through any port
//! exactly once, with its Ethernet header; who sent it shows in its source address (node N is `02:00:5e:10:00:NN`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};

use super::Lab;
use super::exec::Running;
use super::topology::{BRIDGE, SWITCH};
use super::wait::{Seen, eventually};

/// Bytes kept of each frame: all headers, and the whole of every ARP, ND and heartbeat frame.
const SNAP: &str = "512";
/// Megabytes after which the older half is forgotten.
const HALF: &str = "100";

/// Frames are being recorded, until this is dropped.
#[derive(Debug)]
pub struct Capture {
    directory: PathBuf,
    tcpdump: Running,
}

/// One frame of the LAN.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When it entered the switch, by the clock of this machine.
    pub at: SystemTime,
    /// It, from its destination address on; at most 512 bytes.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// Its Ethernet source.
    pub fn source(&self) -> Option<[u8; 6]> {
        self.bytes.get(6..12)?.try_into().ok()
    }

    /// Its Ethernet type: 0x0806 for ARP, 0x86dd for IPv6.
    pub fn kind(&self) -> Option<u16> {
        Some(u16::from_be_bytes(self.bytes.get(12..14)?.try_into().ok()?))
    }
}

impl Lab {
    /// Records the frames of all switch ports from now on, in a ring of some 200 MB.
    pub async fn capture(&self) -> Result<Capture> {
        let directory = self.home().join(format!("frames-{}", std::process::id()));
        fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
        let file = directory.join("ring");
        let file = file.to_str().context("a path that is text")?;
        // As root (-Z): tcpdump would drop its rights and could not write here.
        let options =
            ["-U", "--immediate-mode", "-Z", "root", "-s", SNAP, "-C", HALF, "-W", "2", "-i", BRIDGE, "-w", file];
        let command: Vec<&str> = ["tcpdump"].into_iter().chain(options).collect();
        let capture = Capture { tcpdump: self.start(SWITCH, &command)?, directory };
        eventually(Duration::from_secs(10), "tcpdump records the frames of the switch", async || {
            Ok(Seen::when(!capture.files()?.is_empty(), (), "no file yet"))
        })
        .await?;
        Ok(capture)
    }
}

impl Capture {
    /// The frames since a moment, in order, as far as tcpdump has written them: wait with [`eventually`] for what must come.
    pub fn frames(&self, since: SystemTime) -> Result<Vec<Frame>> {
        let mut frames = Vec::new();
        for file in self.files()? {
            let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            frames.extend(parse(&bytes, since));
        }
        frames.sort_by_key(|frame| frame.at);
        Ok(frames)
    }

    /// Writes the frames since a moment into one file for tcpdump or Wireshark.
    pub fn write(&self, since: SystemTime, file: &Path) -> Result<()> {
        let mut bytes = HEADER.to_vec();
        for frame in self.frames(since)? {
            let at = frame.at.duration_since(SystemTime::UNIX_EPOCH)?;
            let length = u32::try_from(frame.bytes.len())?;
            for field in [u32::try_from(at.as_secs())?, at.subsec_micros(), length, length] {
                bytes.extend(field.to_le_bytes());
            }
            bytes.extend(frame.bytes);
        }
        fs::write(file, bytes).with_context(|| format!("writing {}", file.display()))
    }

    /// The process that records.
    pub fn pid(&self) -> u32 {
        self.tcpdump.pid()
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.directory).with_context(|| format!("reading {}", self.directory.display()))?;
        let files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        ensure!(files.len() <= 2, "more files than tcpdump was asked for in {}", self.directory.display());
        Ok(files)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The head of a capture file: microseconds, little endian, version 2.4, frames of at most 512 bytes, Ethernet.
const HEADER: [u8; 24] = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0];

/// The frames since a moment of a capture file that is perhaps still being written: an incomplete last one is left out.
fn parse(file: &[u8], since: SystemTime) -> impl Iterator<Item = Frame> {
    let mut rest = file.get(HEADER.len()..).unwrap_or_default();
    let all = std::iter::from_fn(move || {
        let field = |index: usize| {
            let bytes = rest.get(index * 4..index * 4 + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let (seconds, micros, length) = (field(0)?, field(1)?, usize::try_from(field(2)?).ok()?);
        let bytes = rest.get(16..16 + length)?;
        rest = rest.get(16 + length..)?;
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into()) + Duration::from_micros(micros.into());
        Some((at, bytes))
    });
    all.filter(move |(at, _)| *at >= since).map(|(at, bytes)| Frame { at, bytes: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_still_being_written_gives_its_complete_frames() {
        let mut file = HEADER.to_vec();
        for field in [1_u32, 500_000, 3, 60] {
            file.extend(field.to_le_bytes());
        }
        file.extend([1, 2, 3]);
        let complete = file.len();
        file.extend([0; 18]);
        let frames: Vec<Frame> = parse(&file, SystemTime::UNIX_EPOCH).take(1).collect();
        assert_eq!(frames[0].bytes, [1, 2, 3]);
        assert_eq!(frames[0].at, SystemTime::UNIX_EPOCH + Duration::from_millis(1500));
        assert_eq!(parse(&file[..complete + 10], SystemTime::UNIX_EPOCH).count(), 1);
        assert_eq!(parse(&file, frames[0].at + Duration::from_micros(1)).count(), 0);
    }
}
