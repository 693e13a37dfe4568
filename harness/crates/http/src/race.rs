//! A connection to a host with several addresses, of which some may be dead, as browsers make it (RFC 8305, "Happy
//! Eyeballs").

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::net::TcpStream;

/// How long to wait for a connection before the next address is tried too: RFC 8305's 250 ms.
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// Connects to the first address that accepts within `limit`; address families take turns.
///
/// # Errors
/// Why each address did not, in the order of the addresses.
pub(crate) async fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<(SocketAddr, TcpStream), Vec<String>> {
    let mut waiting = in_turns(addresses).into_iter();
    let mut trying = FuturesUnordered::new();
    let mut refusals = Vec::new();
    let begin = |address: SocketAddr| async move {
        let outcome = match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(format!("{address}: {error}")),
            Err(_) => Err(format!("{address}: no answer within {limit:.1?}")),
        };
        (address, outcome)
    };
    loop {
        // One more address: none is being tried, the others had their time, or one was refused.
        trying.extend(waiting.next().map(begin));
        let ended = match waiting.len() {
            0 => trying.next().await,
            _ => match tokio::time::timeout(NEXT_AFTER, trying.next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            },
        };
        match ended {
            Some((address, Ok(stream))) => return Ok((address, stream)),
            Some((address, Err(why))) => refusals.push((addresses.iter().position(|one| *one == address), why)),
            None => break,
        }
    }
    refusals.sort();
    Err(refusals.into_iter().map(|(_, why)| why).collect())
}

/// Addresses of both families in turns, beginning with the first one's family.
fn in_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (of_first, others): (Vec<_>, Vec<_>) = addresses.iter().partition(|one| one.is_ipv6() == first);
    let longest = of_first.len().max(others.len());
    (0..longest).flat_map(|at| [of_first.get(at), others.get(at)]).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let all = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let turns = in_turns(&all(&["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1"]));
        assert_eq!(turns, all(&["[::1]:1", "127.0.0.1:1", "[::2]:1", "[::3]:1"]));
        assert_eq!(in_turns(&[]), []);
    }

    /// A listener whose queue is full: it accepts no connection, and refuses none.
    #[tokio::test]
    async fn a_dead_address_keeps_nobody_from_another() {
        let silent = tokio::net::TcpSocket::new_v4().unwrap();
        silent.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let silent = silent.listen(1).unwrap();
        let dead = silent.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(dead)).await {
            held.push(stream);
        }
        let serving = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let serving = serving.local_addr().unwrap();
        let (address, _) = connect(&[dead, serving], Duration::from_secs(5)).await.unwrap();
        assert_eq!(address, serving);
    }

    #[tokio::test]
    async fn a_refusal_costs_no_time() {
        let closed = tokio::net::TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let serving = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [closed.local_addr().unwrap(), serving.local_addr().unwrap()];
        // A stopped clock would jump to the timer's end at once.
        tokio::time::pause();
        let started = tokio::time::Instant::now();
        let (address, _) = connect(&addresses, Duration::from_secs(5)).await.unwrap();
        assert!(address == addresses[1] && started.elapsed() < NEXT_AFTER, "{address} after {:?}", started.elapsed());
    }

    #[tokio::test]
    async fn each_refusal_is_told() {
        let closed = tokio::net::TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let closed = closed.local_addr().unwrap();
        let refusals = connect(&[closed], Duration::from_secs(5)).await.unwrap_err();
        assert!(refusals.len() == 1 && refusals[0].contains("refused"), "{refusals:?}");
    }
}
