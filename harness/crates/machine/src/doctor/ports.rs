//! Checks of the fixed ports of stage dev, and the processes that hold them.

use std::fmt;
use std::net::{Ipv4Addr, TcpListener};

use harness_settings::spec::spec;

use super::{Check, Severity};

const GROUP: &str = "ports";
/// The state of a listening socket in /proc/net/tcp (proc(5)).
const LISTENS: &str = "0A";

pub(super) fn examine() -> Vec<Check> {
    spec().dev_host_ports().chain(spec().dev.tilt_ports()).map(examine_one).collect()
}

fn examine_one(port: u16) -> Check {
    let name = port.to_string();
    match holder(port) {
        None => Check::new(GROUP, name, Severity::Ok, "free"),
        Some(holder) => Check::new(GROUP, name, Severity::Note, format!("held by {holder}; stage dev alone needs it")),
    }
}

/// The holder of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process's name; or, where that is not known, a description.
    pub name: String,
    /// The process's ID, where /proc shows it.
    pub pid: Option<u32>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "{} (process {pid})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The holder of a port of 127.0.0.1; `None` if the port is free. Found out by listening there for a moment.
pub fn holder(port: u16) -> Option<Holder> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => None,
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Some(process_at(port).unwrap_or_else(|| Holder { name: "another process".to_owned(), pid: None }))
        }
        Err(error) => Some(Holder { name: format!("the system, which says: {error}"), pid: None }),
    }
}

/// The process that listens at a port, where /proc shows it.
fn process_at(port: u16) -> Option<Holder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let inode = tables.iter().find_map(|table| inode(table, port))?;
    let socket = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let found = processes.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok()).find(|entry| {
        // The descriptors of another account's processes are not readable.
        let open = std::fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten();
        open.map(|entry| entry.path()).any(|link| std::fs::read_link(link).is_ok_and(|to| to.as_os_str() == &*socket))
    })?;
    let name = std::fs::read_to_string(found.path().join("comm")).unwrap_or_default().trim().to_owned();
    Some(Holder { name, pid: found.file_name().to_string_lossy().parse().ok() })
}

/// The inode of the socket that listens at a port, from the text of /proc/net/tcp (proc(5)).
fn inode(table: &str, port: u16) -> Option<&str> {
    let port = format!("{port:04X}");
    table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let listens = words.get(3) == Some(&LISTENS) && words.get(1)?.rsplit(':').next() == Some(&port);
        if listens { words.get(9).copied() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_held_names_its_holder() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let check = examine_one(listener.local_addr().unwrap().port());
        assert_eq!(check.verdict, Severity::Note);
        assert!(check.value.contains(&format!("process {}", std::process::id())), "{check:?}");
    }

    #[test]
    fn the_one_that_listens_counts() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            0: 0100007F:1F40 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 41 1\n\
            1: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 42 1\n";
        assert_eq!(inode(table, 8000), Some("42"));
        assert_eq!(inode(table, 8001), None);
    }
}
