//! A name server whose answers change as its script says, with a time to live of zero: what a rebinding attack needs.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use tokio::{net::UdpSocket, task::JoinHandle};

const HEAD: usize = 12;
const A: u16 = 1;
const AAAA: u16 = 28;

/// Runs until it is dropped.
pub struct NameServer {
    zone: Arc<Zone>,
    serving: JoinHandle<()>,
}

struct Zone {
    /// What each name is, at the first question, the second, …; the last holds from then on.
    names: HashMap<String, Vec<Vec<IpAddr>>>,
    asked: Mutex<HashMap<(String, u16), usize>>,
}

impl NameServer {
    pub async fn start(at: SocketAddr, names: &[(&str, &[&[IpAddr]])]) -> Result<Self> {
        let socket = UdpSocket::bind(at).await?;
        let names = names
            .iter()
            .map(|(name, answers)| ((*name).to_owned(), answers.iter().map(|addresses| addresses.to_vec()).collect()));
        let zone = Arc::new(Zone { names: names.collect(), asked: Mutex::default() });
        let serving = tokio::spawn({
            let zone = zone.clone();
            async move {
                let mut question = [0; 1500];
                while let Ok((length, from)) = socket.recv_from(&mut question).await {
                    // What is no question gets no answer.
                    if let Ok(answer) = zone.answer(&question[..length]) {
                        let _ = socket.send_to(&answer, from).await;
                    }
                }
            }
        });
        Ok(Self { zone, serving })
    }

    /// How often somebody wanted the name's IPv4 addresses.
    pub fn asked(&self, name: &str) -> usize {
        let asked = self.zone.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(&(name.to_owned(), A)).copied().unwrap_or_default()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Zone {
    /// RFC 1035, section 4: the question again, and the answers that point back at its name.
    fn answer(&self, question: &[u8]) -> Result<Vec<u8>> {
        let (name, end) = name_in(question)?;
        let kind = u16::from_be_bytes(question.get(end..end + 2).context("a type")?.try_into()?);
        let (known, addresses) = self.next(&name, kind);
        let mut answer = question.get(..end + 4).context("a class")?.to_vec();
        // An answer that recursion was available for; three is a name that nobody has.
        answer[2..4].copy_from_slice(&[0x81, if known { 0x80 } else { 0x83 }]);
        answer[4..HEAD].copy_from_slice(&[0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
        for address in addresses {
            let bytes = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            answer.extend([0xc0, HEAD as u8]);
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1, 0, 0, 0, 0, 0, bytes.len() as u8]);
            answer.extend(bytes);
        }
        Ok(answer)
    }

    fn next(&self, name: &str, kind: u16) -> (bool, Vec<IpAddr>) {
        let Some(answers) = self.names.get(name) else { return (false, Vec::new()) };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = asked.entry((name.to_owned(), kind)).or_default();
        let turn = answers.get(*asked).or(answers.last()).cloned().unwrap_or_default();
        *asked += 1;
        let wanted = |address: &IpAddr| matches!((address, kind), (IpAddr::V4(_), A) | (IpAddr::V6(_), AAAA));
        (true, turn.into_iter().filter(wanted).collect())
    }
}

/// The first question's name, and where it ends.
fn name_in(question: &[u8]) -> Result<(String, usize)> {
    let (mut labels, mut place) = (Vec::new(), HEAD);
    loop {
        let length = usize::from(*question.get(place).context("a label")?);
        place += 1;
        if length == 0 {
            return Ok((labels.join("."), place));
        }
        let label = question.get(place..place + length).context("a whole label")?;
        labels.push(std::str::from_utf8(label)?.to_ascii_lowercase());
        place += length;
    }
}
