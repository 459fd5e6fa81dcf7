//! What the machine gives the process: its memory, or less where a control group of the process, or one that lies around
//! that, has a limit. A function over a root folder, so that tests can give it other machines.
//!
//! Groups of version 2 lie in one tree (`memory.max`, `memory.high`), those of version 1 in one for each controller
//! (`memory.limit_in_bytes`); a hybrid system has both. `/proc/self/cgroup` says which groups the process is in, and
//! `/proc/self/mountinfo` where their trees are mounted. A group's limit holds for the groups in it, so the smallest from
//! the process's own up to the root counts. What cannot be read or understood is no limit.

use std::path::{Component, Path, PathBuf};

/// Bytes of memory, and the file that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemoryFound {
    pub(crate) bytes: usize,
    pub(crate) from: PathBuf,
}

/// Where nothing can be read at all.
const UNKNOWN: usize = usize::MAX / 2;

/// The version of a tree of groups, by the files that its groups have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::One => &["memory.limit_in_bytes"],
            // Past `memory.high` the kernel slows the process so much that it may as well be the end.
            Self::Two => &["memory.max", "memory.high"],
        }
    }

    /// Where the tree is found if the list of mounts does not say.
    fn usual_places(self) -> &'static [&'static str] {
        match self {
            Self::One => &["sys/fs/cgroup/memory"],
            Self::Two => &["sys/fs/cgroup", "sys/fs/cgroup/unified"],
        }
    }
}

/// The memory of the machine whose files are below `root`, or of the control groups that the process is in.
pub(crate) fn memory(root: &Path) -> MemoryFound {
    let machine = MemoryFound { bytes: installed(root).unwrap_or(UNKNOWN), from: "/proc/meminfo".into() };
    let groups = read(root, "proc/self/cgroup").unwrap_or_default();
    let mounts = read(root, "proc/self/mountinfo").unwrap_or_default();
    let mut found = machine;
    for version in [Version::Two, Version::One] {
        let own = own_group(&groups, version).unwrap_or("/");
        let mut trees: Vec<_> = mounts
            .lines()
            .filter_map(|line| Mount::read(line, version))
            .map(|mount| mount.tree(own))
            .collect();
        if trees.is_empty() {
            trees = version.usual_places().iter().map(|place| (place.into(), relative(own))).collect();
        }
        for (tree, group) in trees {
            consider(root, version, &tree, &group, &mut found);
        }
    }
    found
}

fn read(root: &Path, path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(root.join(path)).ok()
}

fn installed(root: &Path) -> Option<usize> {
    let text = read(root, "proc/meminfo")?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    line.split_whitespace().nth(1)?.parse::<usize>().ok()?.checked_mul(1024)
}

/// The process's group in the tree of a version: lines are `number:controllers:path`, version 2 is number 0 and has no
/// controllers.
fn own_group(groups: &str, version: Version) -> Option<&str> {
    groups.lines().find_map(|line| {
        let (number, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let is_it = match version {
            Version::One => controllers.split(',').any(|controller| controller == "memory"),
            Version::Two => number == "0" && controllers.is_empty(),
        };
        is_it.then_some(path)
    })
}

/// A line of `mountinfo`: where which part of a tree of groups is mounted.
struct Mount {
    place: PathBuf,
    part: String,
}

impl Mount {
    /// `id parent device ROOT PLACE options [fields] - TYPE source OPTIONS`.
    fn read(line: &str, version: Version) -> Option<Self> {
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (part, place) = (unescape(mount.next()?), unescape(mount.next()?));
        let mut system = system.split(' ');
        let is_it = match (version, system.next()?) {
            (Version::Two, "cgroup2") => true,
            (Version::One, "cgroup") => system.nth(1)?.split(',').any(|option| option == "memory"),
            _ => false,
        };
        is_it.then(|| Self { place: relative(&place), part })
    }

    /// The place, and the process's group below it: its path is counted from the tree's root, of which only a part may
    /// be mounted here.
    fn tree(self, own: &str) -> (PathBuf, PathBuf) {
        let below = Path::new(own).strip_prefix(&self.part).map(|below| relative(&below.to_string_lossy()));
        (self.place, below.unwrap_or_default())
    }
}

/// Spaces and the like are written as octal numbers.
fn unescape(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}

/// Without the root and whatever leads up: groups outside of what the process can see are named so.
fn relative(path: &str) -> PathBuf {
    Path::new(path).components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// The limits of a group and of those around it, up to the root of the tree.
fn consider(root: &Path, version: Version, tree: &Path, group: &Path, found: &mut MemoryFound) {
    for group in group.ancestors() {
        for file in version.files() {
            let path = tree.join(group).join(file);
            // "max", or nothing, where there is none. A process in a group without memory would not be there.
            let limit = read(root, &path).and_then(|text| text.trim().parse::<usize>().ok());
            if let Some(bytes) = limit.filter(|bytes| (1..found.bytes).contains(bytes)) {
                *found = MemoryFound { bytes, from: Path::new("/").join(path) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 5 kB\n");

    /// A root folder with these files.
    struct Root(PathBuf);

    impl Root {
        fn new(files: &[(&str, &str)]) -> Self {
            use std::sync::atomic::{AtomicU32, Ordering};
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let root = std::env::temp_dir().join(format!("atoll-machine-{}-{number}", std::process::id()));
            for (path, text) in files.iter().chain([&MACHINE]) {
                let path = root.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn mib(files: &[(&str, &str)]) -> (usize, String) {
        let found = memory(&Root::new(files).0);
        (found.bytes >> 20, found.from.to_string_lossy().into_owned())
    }

    const V2: (&str, &str) = (
        "proc/self/mountinfo",
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
    );

    #[test]
    fn without_groups_it_is_the_machine() {
        assert_eq!(mib(&[]), (16 << 10, "/proc/meminfo".into()));
        assert_eq!(mib(&[V2, ("proc/self/cgroup", "0::/\n")]).0, 16 << 10);
    }

    #[test]
    fn a_container_sees_its_own_group_as_the_root() {
        let own = ("sys/fs/cgroup/memory.max", "536870912\n");
        let found = (512, "/sys/fs/cgroup/memory.max".to_owned());
        assert_eq!(mib(&[V2, ("proc/self/cgroup", "0::/\n"), own]), found);
        assert_eq!(mib(&[own]), found, "without /proc/self/cgroup, too");
        assert_eq!(mib(&[V2, ("proc/self/cgroup", "0::/../../elsewhere\n"), own]).0, 512);
    }

    #[test]
    fn a_unit_of_systemd_and_what_lies_around_it_count() {
        let group = ("proc/self/cgroup", "0::/system.slice/atoll.service/worker\n");
        let unit = ("sys/fs/cgroup/system.slice/atoll.service/memory.max", "1073741824\n");
        let none = ("sys/fs/cgroup/system.slice/atoll.service/worker/memory.max", "max\n");
        assert_eq!(mib(&[V2, group, unit, none]).0, 1024);
        let around = ("sys/fs/cgroup/system.slice/memory.max", "268435456\n");
        assert_eq!(mib(&[V2, group, unit, none, around]).0, 256);
        let beside = ("sys/fs/cgroup/user.slice/memory.max", "1048576\n");
        assert_eq!(mib(&[V2, group, unit, none, beside]).0, 1024);
        let high = ("sys/fs/cgroup/system.slice/atoll.service/memory.high", "805306368\n");
        assert_eq!(mib(&[V2, group, unit, none, high]).0, 768);
    }

    #[test]
    fn version_one_and_hybrid_systems() {
        let groups =
            ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n1:name=systemd:/y\n0::/y\n");
        let mounts = (
            "proc/self/mountinfo",
            "31 23 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
             32 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             33 23 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        );
        let unlimited = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        let own = ("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "2147483648\n");
        let elsewhere = ("sys/fs/cgroup/cpu,cpuacct/x/memory.limit_in_bytes", "1048576\n");
        assert_eq!(mib(&[groups, mounts, unlimited]).0, 16 << 10);
        assert_eq!(mib(&[groups, mounts, unlimited, own, elsewhere]).0, 2048);
        let unified = ("sys/fs/cgroup/unified/y/memory.max", "1073741824\n");
        assert_eq!(mib(&[groups, mounts, unlimited, own, unified]).0, 1024);
        assert_eq!(mib(&[groups, unlimited, own]).0, 2048, "at the usual place");
    }

    #[test]
    fn a_container_sees_a_part_of_the_tree() {
        // Without a namespace of its own: the path is that of the host, the mount only the container's part.
        let groups = ("proc/self/cgroup", "4:memory:/docker/abc/worker\n");
        let mounts =
            ("proc/self/mountinfo", "33 23 0:29 /docker/abc /a\\040place rw - cgroup cgroup rw,memory\n");
        let own = ("a place/worker/memory.limit_in_bytes", "134217728\n");
        let around = ("a place/memory.limit_in_bytes", "268435456\n");
        assert_eq!(
            mib(&[groups, mounts, own, around]),
            (128, "/a place/worker/memory.limit_in_bytes".into())
        );
        assert_eq!(mib(&[groups, mounts, around]).0, 256);
    }

    #[test]
    fn what_makes_no_sense_is_no_limit() {
        let group = ("proc/self/cgroup", "nonsense\n0:\n::\n0::/a\n");
        for text in ["", "0", "-1", "many", "99999999999999999999999", "1 2"] {
            assert_eq!(mib(&[V2, group, ("sys/fs/cgroup/a/memory.max", text)]).0, 16 << 10, "{text:?}");
        }
        let mounts = ("proc/self/mountinfo", "a b\n - \n1 2 3 - cgroup2\n- cgroup2 x\n");
        assert_eq!(mib(&[mounts, group, ("sys/fs/cgroup/a/memory.max", "1048576")]).0, 1);
    }
}
