//! A download site of the test's own: real HTTP over a real socket.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// How the site behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Sends what is asked for.
    Whole,
    /// The same, but knows no ranges.
    NoRanges,
    /// Breaks off after half of what it promised, each time.
    Half,
    /// Breaks off after half the first time, and never again.
    HalfOnce,
    /// Has nothing.
    NotFound,
}

/// The site; its thread ends with the test's process.
#[derive(Debug, Clone)]
pub struct Site {
    pub base: String,
    /// The method and the range of each request.
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    pub fn serve(body: Vec<u8>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let site = Self { base, asked: Arc::clone(&asked) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let method = lines.next().unwrap().unwrap().split(' ').next().unwrap().to_owned();
                let headers: Vec<String> = lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
                let range =
                    headers.iter().find_map(|line| line.to_lowercase().strip_prefix("range: ").map(str::to_owned));
                asked.lock().unwrap().push(format!("{method} {}", range.as_deref().unwrap_or("all")));
                let from = range.filter(|_| manner != Manner::NoRanges);
                let from: Option<usize> =
                    from.map(|range| range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap());
                let rest = body.get(from.unwrap_or(0)..).unwrap_or_default();
                let head = match (manner, from) {
                    (Manner::NotFound, _) => "404 Not Found\r\nContent-Length: 0".to_owned(),
                    (_, Some(from)) if from >= body.len() => {
                        "416 Range Not Satisfiable\r\nContent-Length: 0".to_owned()
                    }
                    (_, Some(from)) => format!(
                        "206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\nContent-Length: {}",
                        body.len() - 1,
                        body.len(),
                        rest.len()
                    ),
                    (_, None) => format!("200 OK\r\nContent-Length: {}", body.len()),
                };
                write!(stream, "HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").unwrap();
                let gets = asked.lock().unwrap().iter().filter(|line| line.starts_with("GET")).count();
                let sent = match manner {
                    Manner::NotFound => 0,
                    Manner::Half => rest.len() / 2,
                    Manner::HalfOnce if gets == 1 => rest.len() / 2,
                    _ => rest.len(),
                };
                if method == "GET" {
                    // The other end may have gone.
                    let _ = stream.write_all(&rest[..sent]);
                }
            }
        });
        site
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}
