//! What gdb finds: the same chains, so that it is the table that is right.

use super::chain::FrameNames;
use super::judge;
use super::names::{FileNames, Names};
use super::table::cases;
use super::target::Target;
use std::process::Command;
use std::rc::Rc;

/// Where it stops is chance, and one sample of a hundred may be elsewhere.
const TRIES: usize = 5;

#[test]
#[ignore = "needs gdb, and says something of the table, not of the agent"]
fn gdb_finds_the_same_stacks() {
    let mut wrong = Vec::new();
    for case in cases() {
        let target = Target::start(case);
        std::thread::sleep(Target::WARM_UP);
        let mut left: Vec<usize> = (0..target.chains.len()).collect();
        let (mut depth, mut last) = (0, Vec::new());
        for _ in 0..TRIES * target.chains.len() {
            let mut threads: Vec<_> =
                target.processes().into_iter().flat_map(|id| stacks(&target, id)).collect();
            left.retain(|chain| {
                let found = threads.iter().find(|stack| target.chains[*chain].matches(stack));
                depth = depth.max(found.map_or(0, Vec::len));
                found.is_none()
            });
            threads.truncate(3);
            last = threads;
            if left.is_empty() {
                break;
            }
        }
        println!("{}: {depth} frames, not found: {}", case.name, left.len());
        for chain in left {
            let stacks: Vec<String> = last.iter().map(|stack| judge::text(stack)).collect();
            wrong.push(format!("{}: {} in\n    {}", case.name, case.stacks[chain], stacks.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The stacks of all threads of a process.
fn stacks(target: &Target, process: u32) -> Vec<Vec<FrameNames>> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let each = "thread apply all frame apply all -q printf \"PC %lx\\n\", $pc";
    let output = Command::new("gdb")
        .args(["-nx", "-batch", "-p", &process.to_string(), "-ex", "set backtrace past-main on"])
        .args(["-ex", "set debuginfod enabled off", "-ex", each])
        .output()
        .expect("install the Debian package gdb");
    let mut names = Names::default();
    let mut stacks: Vec<Vec<FrameNames>> = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if line.starts_with("Thread ") {
            stacks.push(Vec::new());
        } else if let Some(address) = line.strip_prefix("PC ") {
            let address = u64::from_str_radix(address, 16).unwrap();
            let name = name(&mut names, target, &maps, address);
            stacks.last_mut().unwrap().push(name);
        }
    }
    stacks
}

/// The name of the function at an address of a process.
fn name(names: &mut Names, target: &Target, maps: &str, address: u64) -> FrameNames {
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    for line in maps.lines() {
        let mut fields = line.splitn(6, ' ');
        let (start, end) = fields.next().unwrap().split_once('-').unwrap();
        if !(number(start)..number(end)).contains(&address) {
            continue;
        }
        let offset = number(fields.nth(1).unwrap());
        let path = fields.nth(2).unwrap_or_default().trim_start();
        let place = address - number(start) + offset;
        let file: Option<Rc<FileNames>> = names.file(path, &target.executable);
        return file.map_or_else(|| vec![path.to_owned()], |file| file.at(file.address_of(place)));
    }
    vec!["?".to_owned()]
}
