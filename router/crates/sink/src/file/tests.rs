//! The file sink under trouble: a crash between any two steps, a full disk, and other hands on its files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use forebay_model::{ColumnType, Kind, SecretRef};
use serde_json::Value;

use super::disk::trouble::{crash_after, disk_full_after};
use super::*;
use crate::codes;
use crate::formats::FormatConfig;
use crate::sample::{Cell, Change, block, table};

fn config(rotate: Option<RotateConfig>) -> FileConfig {
    FileConfig { path: "out/t".into(), format: FormatConfig::default(), rotate, sync: true }
}

fn try_open(config: &FileConfig, data_dir: &Path, start: Mark) -> Result<Box<dyn Sink>, Fault> {
    let secret = |_: &SecretRef| unreachable!("a file has no secret");
    let opening = Opening { route: "r", source: "shop", start, lineage: 0, secret: &secret, data_dir };
    super::open(config, &opening).map(|sink| Box::new(sink) as Box<dyn Sink>)
}

/// Events `from .. to`, one column with the offset.
fn delivery(epoch: u64, from: u64, to: u64) -> Delivery {
    let t = table("t", &[("offset", ColumnType::Integer { bits: 64, unsigned: false })]);
    let change = |offset: u64| Change {
        table: t.clone(),
        event: (offset - from) as u32,
        part: 0,
        images: vec![(Kind::Insert, vec![Cell::Int(offset as i64)])],
    };
    let changes: Vec<Change> = (from..to).map(change).collect();
    Delivery { mark: Mark { epoch, offset: from }, blocks: vec![block(from, (to - from) as u32, &changes)] }
}

fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("out")
}

/// The offsets in all files, closed ones first.
fn offsets(data_dir: &Path) -> Vec<u64> {
    let mut names: Vec<String> = fs::read_dir(folder(data_dir))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".ndjson"))
        .collect();
    // the live file has no number and comes last
    names.sort_by_key(|name| (name == "t.ndjson", name.clone()));
    let lines = names.iter().flat_map(|name| {
        let text = fs::read_to_string(folder(data_dir).join(name)).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{name} ends in a whole line");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    lines
        .map(|line| serde_json::from_str::<Value>(&line).unwrap()["after"]["offset"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_crash_between_any_two_steps_loses_and_doubles_nothing() {
    let rotate = Some(RotateConfig { bytes: Some(1500), seconds: None });
    let mut crashes = BTreeSet::new();
    for steps in 0.. {
        let data = tempfile::tempdir().unwrap();
        let mut done = 0;
        // until the whole sequence runs without reaching the crash
        crash_after(Some(steps));
        let first = async {
            let mut sink = try_open(&config(rotate.clone()), data.path(), Mark::default())?;
            for _ in 0..6 {
                sink.deliver(&delivery(0, done, done + 3)).await?;
                done += 3;
            }
            Ok::<_, Fault>(())
        }
        .await;
        crash_after(None);
        let Err(fault) = first else {
            assert!(crashes.len() > 30, "steps were tried: {}", crashes.len());
            return;
        };
        assert_eq!(fault.code(), codes::FILE_IO, "{fault}");
        crashes.insert(steps);
        // what was answered Ok is there, whole
        let mut sink = try_open(&config(rotate.clone()), data.path(), Mark::default()).unwrap();
        let mark = sink.committed().await.unwrap().unwrap_or_default();
        assert!(
            mark.offset == done || mark.offset == done + 3,
            "step {steps}: {done} confirmed, {mark:?} there"
        );
        assert_eq!(offsets(data.path()), (0..mark.offset).collect::<Vec<_>>(), "step {steps}");
        // the delivery comes again whole, from where the route's checkpoint stands, and then the rest
        while done < 18 {
            sink.deliver(&delivery(0, done, done + 3)).await.unwrap();
            done += 3;
        }
        assert_eq!(offsets(data.path()), (0..18).collect::<Vec<_>>(), "step {steps}");
    }
}

#[tokio::test]
async fn a_failure_between_any_two_steps_is_overcome_without_reopening() {
    let rotate = Some(RotateConfig { bytes: Some(1500), seconds: None });
    for steps in 0..60 {
        let data = tempfile::tempdir().unwrap();
        let mut sink = try_open(&config(rotate.clone()), data.path(), Mark::default()).unwrap();
        let mut done = 0;
        crash_after(Some(steps));
        while done < 18 {
            match sink.deliver(&delivery(0, done, done + 3)).await {
                Ok(()) => done += 3,
                Err(_) => crash_after(None),
            }
        }
        crash_after(None);
        assert_eq!(offsets(data.path()), (0..18).collect::<Vec<_>>(), "step {steps}");
        drop(sink);
        let mut sink = try_open(&config(rotate.clone()), data.path(), Mark::default()).unwrap();
        assert_eq!(sink.committed().await.unwrap(), Some(Mark { epoch: 0, offset: 18 }));
        assert_eq!(offsets(data.path()), (0..18).collect::<Vec<_>>(), "step {steps}");
    }
}

#[tokio::test]
async fn a_full_disk_is_cut_back_and_written_again() {
    for bytes in [0, 1, 500, 1024, 1500, 2100, 3000] {
        let data = tempfile::tempdir().unwrap();
        let mut sink = try_open(&config(None), data.path(), Mark::default()).unwrap();
        sink.deliver(&delivery(0, 0, 3)).await.unwrap();
        let before = offsets(data.path());
        disk_full_after(Some(bytes));
        let fault = sink.deliver(&delivery(0, 3, 9)).await.unwrap_err();
        assert_eq!(fault.code(), codes::FILE_DISK_FULL);
        assert!(fault.remedy().contains("free space"));
        // cut back at once; a budget that ends in the sidecar's padding has let the whole record through
        let there = offsets(data.path());
        assert!(there == before || bytes == 3000 && there.len() == 9, "{bytes} bytes: {there:?}");
        disk_full_after(None);
        sink.deliver(&delivery(0, 3, 9)).await.unwrap();
        assert_eq!(offsets(data.path()), (0..9).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn closed_files_are_named_by_offset_and_never_overwritten() {
    let data = tempfile::tempdir().unwrap();
    let rotate = Some(RotateConfig { bytes: Some(1), seconds: None });
    let mut sink = try_open(&config(rotate.clone()), data.path(), Mark::default()).unwrap();
    for from in [0, 2, 4] {
        sink.deliver(&delivery(0, from, from + 2)).await.unwrap();
    }
    drop(sink);
    // a replay from the beginning
    let start = Mark { epoch: 1, offset: 0 };
    let mut sink = try_open(&config(rotate), data.path(), start).unwrap();
    assert_eq!(sink.committed().await.unwrap(), Some(Mark { epoch: 0, offset: 6 }));
    for from in [0, 2, 4] {
        sink.deliver(&delivery(1, from, from + 2)).await.unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(folder(data.path()))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "t-00000000000000000000.ndjson",
            "t-00000000000000000002-1.ndjson",
            "t-00000000000000000002.ndjson",
            "t-00000000000000000004.ndjson",
            "t-00000000000000000006.ndjson",
            "t.ndjson",
            "t.ndjson.mark"
        ]
    );
    let mut all = offsets(data.path());
    all.sort();
    assert_eq!(all, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
}

#[tokio::test]
async fn a_torn_tail_is_cut_at_opening() {
    let data = tempfile::tempdir().unwrap();
    let live = folder(data.path()).join("t.ndjson");
    let mut sink = try_open(&config(None), data.path(), Mark::default()).unwrap();
    sink.deliver(&delivery(0, 0, 3)).await.unwrap();
    drop(sink);
    let whole = fs::read(&live).unwrap();
    fs::write(&live, [&whole[..], b"{\"before\":null,\"aft"].concat()).unwrap();
    drop(try_open(&config(None), data.path(), Mark::default()).unwrap());
    assert_eq!(fs::read(&live).unwrap(), whole);
}

#[tokio::test]
async fn what_was_confirmed_and_is_gone_stops_the_route_until_the_offset_is_set() {
    let data = tempfile::tempdir().unwrap();
    let live = folder(data.path()).join("t.ndjson");
    let mut sink = try_open(&config(None), data.path(), Mark::default()).unwrap();
    sink.deliver(&delivery(0, 0, 3)).await.unwrap();
    drop(sink);
    let whole = fs::read(&live).unwrap();
    for left in [None, Some(0), Some(whole.len() - 1)] {
        match left {
            Some(left) => fs::write(&live, &whole[..left]).unwrap(),
            None => fs::remove_file(&live).unwrap(),
        }
        let fault = try_open(&config(None), data.path(), Mark::default()).err().unwrap();
        assert_eq!(fault.code(), codes::FILE_DAMAGED);
        assert!(fault.remedy().contains("replay"), "{fault}");
    }
    let mut sink = try_open(&config(None), data.path(), Mark { epoch: 1, offset: 2 }).unwrap();
    sink.deliver(&delivery(1, 2, 3)).await.unwrap();
    assert_eq!(offsets(data.path()), [0, 1, 2], "whole lines stay, the torn one is cut");
}

#[tokio::test]
async fn other_hands_are_noticed() {
    let data = tempfile::tempdir().unwrap();
    let live = folder(data.path()).join("t.ndjson");
    let mut sink = try_open(&config(None), data.path(), Mark::default()).unwrap();
    sink.deliver(&delivery(0, 0, 3)).await.unwrap();
    // as logrotate would
    fs::rename(&live, live.with_extension("1")).unwrap();
    let fault = sink.deliver(&delivery(0, 3, 6)).await.unwrap_err();
    assert_eq!(fault.code(), codes::FILE_DAMAGED);
    fs::rename(live.with_extension("1"), &live).unwrap();
    sink.deliver(&delivery(0, 3, 6)).await.unwrap();
    assert_eq!(offsets(data.path()), (0..6).collect::<Vec<_>>());

    let second = try_open(&config(None), data.path(), Mark::default()).err().unwrap();
    assert_eq!(second.code(), codes::FILE_IN_USE);

    let mut other = config(None);
    other.path = "out/foreign.txt".into();
    fs::write(folder(data.path()).join("foreign.txt"), "letters\n").unwrap();
    let fault = try_open(&other, data.path(), Mark::default()).err().unwrap();
    assert_eq!(fault.code(), codes::FILE_FOREIGN);
    assert_eq!(fs::read_to_string(folder(data.path()).join("foreign.txt")).unwrap(), "letters\n");

    other.path = "out/t.ndjson/below-a-file".into();
    let fault = try_open(&other, data.path(), Mark::default()).err().unwrap();
    assert_eq!(fault.code(), codes::FILE_NOT_WRITABLE);
}

#[tokio::test]
async fn age_closes_a_file() {
    let data = tempfile::tempdir().unwrap();
    let layout = || Layout::new(&config(None), "r", data.path());
    let rotate = RotateConfig { bytes: None, seconds: Some(60) };
    let mut writer = Writer::open(layout(), rotate, true, Mark::default(), 1000).unwrap();
    let closed = |offset| data.path().join("out").join(format!("t-{offset:020}.ndjson")).exists();
    for (now, offset) in [(1000, 1), (1059, 2), (1060, 3), (1119, 4)] {
        writer.begin(now).unwrap();
        writer.write(b"x\n").unwrap();
        writer.confirm(Mark { epoch: 0, offset }).unwrap();
        assert_eq!(closed(0), now >= 1060, "{now}");
    }
    assert!(!closed(2));
    writer.begin(1120).unwrap();
    assert!(closed(2), "the second file was begun at offset 2, at 1060");
}

mod conforms {
    use async_trait::async_trait;

    use super::*;
    use crate::conformance::{Destination, Promise, Seen, run};

    struct Folder {
        data: tempfile::TempDir,
        rotate: Option<RotateConfig>,
    }

    #[async_trait]
    impl Destination for Folder {
        fn promise(&self) -> Promise {
            Promise::ExactlyOnce
        }

        async fn open(&mut self, start: Mark) -> Result<Box<dyn Sink>, Fault> {
            try_open(&config(self.rotate.clone()), self.data.path(), start)
        }

        async fn read(&mut self) -> Vec<Seen> {
            let mut files: Vec<PathBuf> = fs::read_dir(folder(self.data.path()))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|ending| ending == "ndjson"))
                .collect();
            // by age, since a replay begins a file of a lower offset
            files.sort_by_key(|path| (fs::metadata(path).unwrap().modified().unwrap(), path.clone()));
            let text: String = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
            let record = |line| Seen { id: None, record: serde_json::from_str(line).unwrap() };
            text.lines().map(record).collect()
        }
    }

    #[tokio::test]
    async fn one_file() {
        run(async || Folder { data: tempfile::tempdir().unwrap(), rotate: None }).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn with_rotation_at_every_delivery() {
        let rotate = || Some(RotateConfig { bytes: Some(1), seconds: None });
        run(async || Folder { data: tempfile::tempdir().unwrap(), rotate: rotate() }).await;
    }
}
