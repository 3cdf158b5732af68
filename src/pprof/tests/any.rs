//! Windows of any content: whatever is in one, the profile of it is well formed and loses nothing.

use super::{
    BuildId, BuildIdKind, FileOffset, Frame, KernelAddress, KernelSymbol, LabelSet, LoadSegment, Object,
    ObjectAddress, ObjectId, ObjectInfo, Options, Profile, Sample, SampleCount, Source, StackTable, Target,
    Thread, ThreadId, Unidentified, Unresolved, UserAddress, Window, assert_well_formed, build, decode,
    encode,
};
use crate::process::comm::Comm;
use crate::process::id::{BootTime, ProcessId, Tgid};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::select;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// Ids of objects that frames name; some of them are not in the window.
const OBJECTS: u32 = 5;

fn segment() -> impl Strategy<Value = LoadSegment> {
    let plain = (0_u64..16, 0_u64..16, 0_u64..0x4000)
        .prop_map(|(offset, address, size)| (offset << 12, address << 12, size));
    let wild = (any::<u64>(), any::<u64>(), any::<u64>());
    let numbers = prop_oneof![3 => plain, 1 => wild];
    (numbers, any::<bool>()).prop_map(|((offset, address, size), executable)| LoadSegment {
        file_offset: FileOffset(offset),
        address: ObjectAddress(address),
        file_size: size,
        memory_size: size,
        executable,
    })
}

fn info() -> impl Strategy<Value = Result<ObjectInfo, Unidentified>> {
    let build_id =
        vec(any::<u8>(), 4..20).prop_map(|bytes| BuildId { kind: BuildIdKind::Gnu, bytes: bytes.into() });
    let identified = (build_id, 2_u16..4, vec(segment(), 0..4)).prop_map(|(build_id, elf_type, segments)| {
        Ok(ObjectInfo { build_id, elf_type, machine: 62, segments, making: Default::default() })
    });
    prop_oneof![4 => identified, 1 => select(Unidentified::ALL.to_vec()).prop_map(Err)]
}

fn frame() -> impl Strategy<Value = Frame> {
    let offset = prop_oneof![0_u64..0x2_0000, any::<u64>()];
    let process = (1_u32..4).prop_map(|tgid| ProcessId { tgid: Tgid(tgid), start: BootTime { nanos: 1 } });
    prop_oneof![
        (0_u64..8).prop_map(|address| Frame::Kernel(KernelAddress(address))),
        (0..OBJECTS, offset).prop_map(|(object, offset)| Frame::Object {
            object: ObjectId(object),
            offset: FileOffset(offset)
        }),
        (process, any::<u64>())
            .prop_map(|(process, address)| Frame::Anonymous { process, address: UserAddress(address) }),
        select(Unresolved::ALL.to_vec()).prop_map(Frame::Unresolved),
    ]
}

fn symbol() -> impl Strategy<Value = KernelSymbol> {
    (any::<String>(), option::of("[a-z]{1,4}"), option::of(any::<u64>())).prop_map(
        |(name, module, link_address)| KernelSymbol {
            name: name.into(),
            module: module.map(Into::into),
            link_address,
        },
    )
}

/// Labels, and stacks with the name of their thread and their count.
type AnyProfile = (LabelSet, Vec<(Vec<Frame>, [u8; 4], u64)>);

fn profile() -> impl Strategy<Value = AnyProfile> {
    let labels = btree_map("[a-c]", any::<String>(), 0..3).prop_map(|labels| labels.into_iter().collect());
    let count = prop_oneof![9 => 1_u64..1000, 1 => Just(u64::MAX)];
    (labels, vec((vec(frame(), 0..8), any::<[u8; 4]>(), count), 0..12))
}

/// Any window.
pub(super) fn window() -> impl Strategy<Value = Window> {
    let objects = btree_map(0..OBJECTS, (vec(any::<u8>(), 0..12), option::of(info())), 0..4);
    let symbols = btree_map((0_u64..8).prop_map(KernelAddress), symbol(), 0..6);
    (objects, symbols, vec(profile(), 0..4), any::<u32>()).prop_map(
        |(objects, kernel_symbols, profiles, start)| {
            let mut stacks = StackTable::default();
            let profiles = profiles.into_iter().map(|profile| intern(profile, &mut stacks)).collect();
            let object = |(number, (path, info)): (u32, (Vec<u8>, Option<_>))| {
                let id = ObjectId(number);
                let info = info.map_or_else(OnceLock::new, OnceLock::from);
                (id, Arc::new(Object { id, path: path.into(), info }))
            };
            Window {
                start: SystemTime::UNIX_EPOCH + Duration::from_secs(start.into()),
                duration: Duration::from_secs(10),
                period: Duration::from_millis(10),
                stacks,
                objects: objects.into_iter().map(object).collect(),
                kernel_symbols,
                profiles,
            }
        },
    )
}

fn intern((labels, samples): AnyProfile, stacks: &mut StackTable) -> Profile {
    let sample = |(frames, name, count): (Vec<Frame>, [u8; 4], u64)| Sample {
        stack: stacks.intern(&frames).unwrap(),
        thread: Thread { tgid: Tgid(1), tid: ThreadId(u32::from_le_bytes(name)), name: Comm::new(&name) },
        count: SampleCount(count),
    };
    let samples = samples.into_iter().map(sample).collect();
    Profile { target: Arc::new(Target { labels, source: Source::Host }), samples }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_window_gives_a_well_formed_profile(window in window(), thread_labels in any::<bool>()) {
        let profiles: Vec<_> = window.profiles.iter().collect();
        let options = Options { thread_labels };
        let profile = decode(&encode(&window, &profiles, options));
        prop_assert_eq!(&profile, &build(&window, &profiles, options).0);
        assert_well_formed(&profile);

        let samples: Vec<_> = profiles.iter().flat_map(|profile| &profile.samples).collect();
        prop_assert_eq!(profile.sample.len(), samples.len());
        for (written, sample) in profile.sample.iter().zip(samples) {
            prop_assert_eq!(written.value[0], i64::try_from(sample.count.0).unwrap_or(i64::MAX));
            let frames = window.stacks.frames(sample.stack);
            prop_assert_eq!(written.location_id.len(), frames.len());
            prop_assert!(!thread_labels || written.label.len() >= 2);
        }
    }
}
