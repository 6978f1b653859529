//! LLVM's raw profile, as its runtime writes it: a header of 64-bit words, a record a function, counters, names.
//! The layout follows `InstrProfData.inc` of LLVM 19 to 22 (version 10).

use std::{collections::HashMap, io::Read};

use anyhow::{Context, Result, bail, ensure};
use flate2::read::ZlibDecoder;
use md5::{Digest, Md5};

/// `\xfflprofr\x81` of a little-endian 64-bit process.
const MAGIC: u64 = u64::from_be_bytes(*b"\xfflprofr\x81");
const VERSION: u64 = 10;
/// The upper bits of the version word say which kind of instrumentation it was.
const VERSION_BITS: u64 = 0x00ff_ffff;
const WORD: usize = 8;
const HEADER_WORDS: usize = 16;
const RECORD: usize = 64;

pub(crate) struct Function {
    pub(crate) name: Vec<u8>,
    /// A hash of its control flow: another one is another function.
    pub(crate) shape: u64,
    pub(crate) counts: Vec<u64>,
}

/// The functions that ran.
pub(crate) fn functions(file: &[u8]) -> Result<Vec<Function>> {
    ensure!(word(file, 0)? == MAGIC, "not a raw profile of a 64-bit process");
    let version = word(file, 1)? & VERSION_BITS;
    ensure!(version == VERSION, "raw profiles of version {version} are unknown here: {VERSION} is read");
    let size = |at| word(file, at).and_then(|word| Ok(usize::try_from(word)?));
    let records = HEADER_WORDS * WORD + size(2)?;
    let (number, counters) = (size(3)?, size(5)?);
    let counters_at = records + number * RECORD + size(4)?;
    let names_at = counters_at + counters * WORD + size(6)? + size(7)? + size(8)?;
    let names = names(slice(file, names_at, size(9)?)?)?;
    let distance = word(file, 10)?;

    let mut all = Vec::new();
    for index in 0..number {
        let record = slice(file, records + index * RECORD, RECORD)?;
        // A record says how far its counters are from itself; the header, how far the first counter is from the first record.
        let start = word(record, 2)?.wrapping_sub(distance).wrapping_add((index * RECORD) as u64);
        let places = u32::from_le_bytes(slice(record, 6 * WORD, 4)?.try_into()?) as usize;
        let counts = slice(file, counters_at + usize::try_from(start)?, places * WORD)?;
        let counts: Vec<u64> = (0..places).map(|place| word(counts, place)).collect::<Result<_>>()?;
        if counts.iter().any(|count| *count > 0) {
            let name = names.get(&word(record, 0)?).context("a record without a name")?.clone();
            all.push(Function { name, shape: word(record, 1)?, counts });
        }
    }
    Ok(all)
}

/// By the first half of each name's MD5, which is what records call a function.
fn names(mut section: &[u8]) -> Result<HashMap<u64, Vec<u8>>> {
    let mut all = HashMap::new();
    while let Some(first) = section.first() {
        // Between the sections of two objects.
        if *first == 0 {
            section = &section[1..];
            continue;
        }
        let (plain, packed) = (leb128(&mut section)?, leb128(&mut section)?);
        let taken = if packed > 0 { packed } else { plain };
        let (block, rest) = section.split_at_checked(taken).context("names end too early")?;
        section = rest;
        let mut text = Vec::with_capacity(plain);
        match packed {
            0 => text.extend_from_slice(block),
            _ => _ = ZlibDecoder::new(block).read_to_end(&mut text)?,
        }
        for name in text.split(|byte| *byte == 1) {
            let digest = Md5::digest(name);
            all.insert(word(&digest, 0)?, name.to_vec());
        }
    }
    Ok(all)
}

fn leb128(bytes: &mut &[u8]) -> Result<usize> {
    let mut value = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first().context("a length ends too early")?;
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("a length that never ends")
}

fn word(bytes: &[u8], at: usize) -> Result<u64> {
    Ok(u64::from_le_bytes(slice(bytes, at * WORD, WORD)?.try_into()?))
}

fn slice(bytes: &[u8], at: usize, length: usize) -> Result<&[u8]> {
    at.checked_add(length).and_then(|end| bytes.get(at..end)).context("it ends too early")
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    const PROGRAM: &str = "
        #[inline(never)]
        fn turn(number: u64) -> u64 { if number % 7 == 0 { number * 3 } else { number + 1 } }
        fn main() { let sum: u64 = (0..1_000).map(|number| turn(std::hint::black_box(number))).sum(); println!(\"{sum}\"); }";

    /// What the compiler's own runtime writes for a program whose every step is known.
    fn written() -> Vec<u8> {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::write(at("program.rs"), PROGRAM).unwrap();
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let flags = ["-O", "-Ccodegen-units=1", "-Cprofile-generate", "program.rs"];
        assert!(Command::new(rustc).args(flags).current_dir(home.path()).status().unwrap().success());
        let mut program = Command::new(at("program"));
        assert!(program.env("LLVM_PROFILE_FILE", at("raw")).current_dir(home.path()).status().unwrap().success());
        fs::read(at("raw")).unwrap()
    }

    #[test]
    fn what_ran_is_counted_under_its_name() {
        let file = written();
        let functions = functions(&file).unwrap();
        let named = |part: &str| {
            let mut found = functions.iter().filter(|one| String::from_utf8_lossy(&one.name).contains(part));
            let only = found.next().unwrap();
            assert!(found.next().is_none(), "{part}");
            only
        };
        // 143 of the numbers below 1,000 are multiples of seven. One of two branches has a counter; the whole has the other.
        let mut counts = named("7program4turn").counts.clone();
        counts.sort_unstable();
        assert!(counts == [143, 1_000] || counts == [143, 857] || counts == [857, 1_000], "{counts:?}");

        for end in (0..file.len()).step_by(61) {
            let _ = super::functions(&file[..end]);
        }
        assert!(super::functions(&file[..file.len() / 2]).is_err());
        let mut newer = file;
        newer[8] += 1;
        let error = super::functions(&newer).err().unwrap().to_string();
        assert!(error.contains("version 11"), "{error}");
    }
}
