//! How the readers handle valid, invalid and hostile input.

use std::io::{Read, Write as _};
use std::path::PathBuf;

use super::*;

/// Returns few bytes per read, so that everything is split across reads.
struct Dribble<R> {
    input: R,
    most: usize,
}

impl<R: Read> Read for Dribble<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = self.most.min(buffer.len());
        self.input.read(&mut buffer[..most])
    }
}

async fn collect(mut items: Items) -> (Vec<Item>, Option<String>) {
    let mut all = Vec::new();
    loop {
        match items.next_chunk().await {
            Ok(Some(chunk)) => all.extend(chunk),
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error.to_string())),
        }
    }
}

/// Reads an input in pieces of several sizes and in one piece, and checks that the outcome is the same.
async fn read(input: &[u8], reading: impl Into<Reading>, limit: usize) -> (Vec<Vec<u8>>, Option<String>) {
    let reading = reading.into();
    let mut outcome = None;
    for most in [1, 2, 3, 7, 1 << 20] {
        let reader = Dribble { input: std::io::Cursor::new(input.to_vec()), most };
        let (items, error) = collect(Items::from_reader(reader, "items.txt", reading.clone(), limit)).await;
        let this = (items.iter().map(|item| item.body.to_vec()).collect::<Vec<_>>(), error);
        assert_eq!(outcome.get_or_insert_with(|| this.clone()), &this, "in pieces of {most} bytes");
    }
    outcome.expect("it was read")
}

fn bodies(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn delimiter(bytes: &[u8]) -> Framing {
    Framing::Delimiter(Arc::from(bytes))
}

#[tokio::test]
async fn lines_end_at_newlines_and_the_last_may_lack_one() {
    let expected = vec![b"apple".to_vec(), b"a b\tc".to_vec(), b"\xff\xfe\r".to_vec()];
    assert_eq!(read(b"apple\na b\tc\n\xff\xfe\r\n", Framing::Lines, 99).await, (expected.clone(), None));
    assert_eq!(read(b"apple\na b\tc\n\xff\xfe\r", Framing::Lines, 99).await, (expected, None));
    assert_eq!(read(b"", Framing::Lines, 99).await, (vec![], None));
}

#[tokio::test]
async fn other_delimiters_keep_newlines() {
    assert_eq!(read(b"two\nlines\0x\0", Framing::Nul, 99).await, (bodies(&["two\nlines", "x"]), None));
    let records = b"a\n--\nb-\n--\nc";
    assert_eq!(read(records, delimiter(b"\n--\n"), 99).await, (bodies(&["a", "b-", "c"]), None));
    // A delimiter that overlaps itself is matched from the left.
    assert_eq!(read(b"xaaay", delimiter(b"aa"), 99).await, (bodies(&["x", "ay"]), None));
    assert_eq!(read(b"a\r\nb\rc\r\n", delimiter(b"\r\n"), 99).await, (bodies(&["a", "b\rc"]), None));
}

#[tokio::test]
async fn bad_items_are_named_by_file_and_line() {
    let error = |text: &str| Some(text.to_owned());
    let refuse = Reading { blank_lines: BlankLines::Refuse, ..Reading::default() };
    for blank in [&b"a\n\nb\n"[..], b"a\n \t\r\nb\n"] {
        let outcome = read(blank, refuse.clone(), 99).await;
        assert_eq!(outcome, (bodies(&["a"]), error("items.txt:2: the item is empty")));
    }
    let outcome = read(b"a\nabcdef\nb\n", Framing::Lines, 5).await;
    assert_eq!(outcome, (bodies(&["a"]), error("items.txt:2: the item is larger than 5 bytes")));
    assert_eq!(read(b"abcde\n", Framing::Lines, 5).await, (bodies(&["abcde"]), None));
}

#[tokio::test]
async fn json_lines_become_strings_and_compact_values() {
    let input = b"\"plain\"\n\n  \"esc\\u0061ped\\n\" \r\n{ \"a\" : [1.0, \"x y\\\" \"] }\n12e3\nnull";
    let expected = bodies(&["plain", "escaped\n", r#"{"a":[1.0,"x y\" "]}"#, "12e3", "null"]);
    assert_eq!(read(input, Framing::Json, 99).await, (expected, None));
}

#[tokio::test]
async fn json_values_may_span_lines_as_jq_prints_them() {
    let input = [
        "{\n  \"a\": [\n    1,\n    \"}\\\"\"\n  ]\n}\n{\n}\n[\n  2\n]\n",
        "\"s\"\n1 2{}\u{1e}{\"b\":3}\n\u{1e}4",
    ]
    .concat();
    let expected = bodies(&[r#"{"a":[1,"}\""]}"#, "{}", "[2]", "s", "1", "2", "{}", r#"{"b":3}"#, "4"]);
    assert_eq!(read(input.as_bytes(), Framing::Json, 99).await, (expected, None));
}

#[tokio::test]
async fn a_bracket_that_is_not_closed_is_named_before_all_that_follows_is_read() {
    let endless = std::io::repeat(b' ').take(1 << 30);
    let input = std::io::Cursor::new(b"1\n{\"a\": [1}\n").chain(endless);
    let (items, error) = collect(Items::from_reader(input, "f", Framing::Json, DEFAULT_MAX_SIZE)).await;
    assert_eq!(items.len(), 1);
    assert_eq!(error.as_deref(), Some("f:2: not JSON: expected `,` or `]` (column 9)"));
}

#[tokio::test]
async fn json_arrays_become_their_elements() {
    let input = b" [ \"a,]\" , {\"k\": [\n1, 2]},3\n,[],\"\\\"\" ] \n";
    let expected = bodies(&["a,]", r#"{"k":[1,2]}"#, "3", "[]", "\""]);
    assert_eq!(read(input, Framing::Json, 99).await, (expected, None));
    assert_eq!(read(b"[]", Framing::Json, 99).await, (vec![], None));
    assert_eq!(read(b" \n", Framing::Json, 99).await, (vec![], None));
}

#[tokio::test]
async fn bad_json_is_named_by_line() {
    for (input, good, expected) in [
        ("1\n{\"a\":}\n2", 1, "items.txt:2: not JSON: expected value (column 6)"),
        ("1\n2, 3\n", 2, "items.txt:2: not JSON: unexpected ','"),
        ("1\n{\"a\": 1}}", 2, "items.txt:2: not JSON: unexpected '}'"),
        ("1\n12a", 1, "items.txt:2: not JSON: trailing characters (column 3)"),
        ("1\nnul\n2", 1, "items.txt:2: not JSON: EOF while parsing a value (column 3)"),
        ("1\n\"a\n\"b\"", 1, "items.txt:2: not JSON: EOF while parsing a string (column 2)"),
        (
            "1\n{\n\"a\" 1}",
            1,
            "items.txt:3: not JSON: expected `:` (column 5), in the value that starts in line 2",
        ),
        ("[1,\n{\"a\":\n}]", 1, "items.txt:3 (element 2): not JSON: expected value (column 1)"),
        ("[1,\n2", 2, "items.txt:2: not JSON: the array is not closed"),
        ("[1]\n[2]", 1, "items.txt:2: not JSON: something follows the array"),
        ("[1,]", 1, "items.txt:1: not JSON: unexpected ']'"),
        ("[1 2]", 1, "items.txt:1: not JSON: unexpected '2'"),
        ("[\"\\ud800\"]", 0, "items.txt:1 (element 1): not JSON: unexpected end of hex escape (column 8)"),
        ("\"a", 0, "items.txt:1: not JSON: EOF while parsing a string (column 2)"),
    ] {
        let (items, error) = read(input.as_bytes(), Framing::Json, 99).await;
        assert_eq!((items.len(), error.as_deref()), (good, Some(expected)), "{input}");
    }
    let (_, error) = read(b"1\n\"\xff\"\n", Framing::Json, 99).await;
    assert_eq!(error.as_deref(), Some("items.txt:2: not JSON: it is not UTF-8"));
}

#[tokio::test]
async fn a_bad_line_far_down_is_named_and_everything_before_it_is_read() {
    let mut input = "{\"n\": 1}\n".repeat(699_999).into_bytes();
    input.extend_from_slice(b"{\"n\": 1\n{\"n\": 2}\n");
    let items = Items::from_reader(std::io::Cursor::new(input), "big.json", Framing::Json, 99);
    let (items, error) = collect(items).await;
    assert_eq!(items.len(), 699_999);
    assert_eq!(
        error.as_deref(),
        Some(
            "big.json:700001: not JSON: expected `,` or `}` (column 1), in the value that starts in line 700000"
        )
    );
}

#[tokio::test]
async fn arguments_are_checked_before_any_is_handed_out() {
    let source = InputSource::Arguments(vec![b"apple".to_vec(), b"".to_vec()]);
    let error = Items::open(source, 99).err().expect("the second is empty");
    assert_eq!(error.to_string(), "argument 2: the item is empty");
    let mut items = Items::open(InputSource::Arguments(vec![b"a".to_vec()]), 99).expect("one that is good");
    assert_eq!(items.next().await.expect("good").map(|item| item.body), Some(Bytes::from("a")));
    assert_eq!(items.next().await.expect("good"), None);
}

/// A temporary directory that is deleted on drop.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("workqueue-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        Self(dir)
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("writable");
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn files(paths: Vec<PathBuf>) -> Items {
    Items::open(InputSource::Files { paths, reading: Reading::default() }, 99)
        .expect("no arguments to refuse")
}

#[tokio::test]
async fn files_are_read_in_turn_and_a_directory_is_refused() {
    let dir = Dir::new("items");
    let (first, second) = (dir.file("1", b"a\nb"), dir.file("2", b"c\n"));
    let (items, error) = collect(files(vec![first, second.clone(), dir.0.clone()])).await;
    assert_eq!(items.iter().map(|item| &item.body[..]).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    assert_eq!(items[2].position.to_string(), format!("{}:1", second.display()));
    assert_eq!(error, Some(format!("cannot open {}", dir.0.display())));
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn compressed_input_is_recognized_by_its_first_bytes() {
    let zstd =
        |text: &[u8]| ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest);
    for pack in [gzip as fn(&[u8]) -> Vec<u8>, zstd] {
        // Several members or frames in sequence are one input.
        let packed = [pack(b"apple\nban"), pack(b"ana\n")].concat();
        assert_eq!(read(&packed, Framing::Lines, 99).await, (bodies(&["apple", "banana"]), None));
        let cut = &packed[..packed.len() - 3];
        let (items, error) = read(cut, Framing::Lines, 99).await;
        assert!(items.len() <= 2, "{items:?}");
        assert!(error.expect("it is cut off").starts_with("cannot continue reading after items.txt:"));
    }
    // One byte of a magic number is not enough.
    assert_eq!(read(b"(\n", Framing::Lines, 99).await, (bodies(&["("]), None));
    assert_eq!(read(b"P*\n", Framing::Lines, 99).await, (bodies(&["P*"]), None));
}

#[tokio::test]
async fn blank_lines_are_skipped_and_counted_or_kept() {
    let input = b"a\n\n \t\nb \n\r\n\n";
    let mut items = Items::from_reader(&input[..], "f", Framing::Lines, 99);
    let notes = items.notes();
    assert_eq!(items.next_chunk().await.expect("good").expect("items")[1].position.to_string(), "f:4");
    assert_eq!(notes.blank(), 4);
    let keep = Reading { blank_lines: BlankLines::Keep, ..Reading::default() };
    let all = bodies(&["a", "", " \t", "b ", "\r", ""]);
    assert_eq!(read(input, keep.clone(), 99).await, (all, None));
    // Elsewhere white space is content.
    assert_eq!(read(b"a\0\0 \0", Framing::Nul, 99).await, (bodies(&["a", " "]), None));
    assert_eq!(read(b"\"\" \" \"", Framing::Json, 99).await, (bodies(&[" "]), None));
    let json = Reading { framing: Framing::Json, ..keep };
    assert_eq!(read(b"[\"\"]", json, 99).await, (bodies(&[""]), None));
}

#[tokio::test]
async fn lines_that_end_with_crlf_are_noted_once_and_kept() {
    let items = Items::from_reader(&b"a\n\r\nb\r\nc\r\n"[..], "f", Framing::Lines, 99);
    let notes = items.notes();
    let (items, _) = collect(items).await;
    assert_eq!(items[1].body, "b\r");
    assert_eq!(notes.take_crlf().map(ToString::to_string).as_deref(), Some("f:3"));
    assert_eq!(notes.take_crlf(), None);
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_an_item() {
    let marked = b"\xef\xbb\xbfa\nb";
    for input in [&marked[..], &gzip(marked)] {
        assert_eq!(read(input, Framing::Lines, 99).await, (bodies(&["a", "b"]), None));
    }
    assert_eq!(read(b"\xef\xbb\xbf[1]", Framing::Json, 99).await, (bodies(&["1"]), None));
    assert_eq!(read(b"\xef\xbb\xbf", Framing::Lines, 99).await, (vec![], None));
    let raw = Reading { raw: true, ..Reading::default() };
    assert_eq!(read(marked, raw, 99).await.0[0], b"\xef\xbb\xbfa");
}

#[tokio::test]
async fn what_is_no_text_is_named_and_gives_no_items() {
    let mut tar = vec![0; 600];
    tar[..8].copy_from_slice(b"items.tx");
    tar[257..262].copy_from_slice(b"ustar");
    for (input, kind) in [
        (&b"\xfd7zXZ\0\0\x04"[..], "compressed with xz, which is not supported"),
        (b"BZh91AY&SY\n", "compressed with bzip2, which is not supported"),
        (b"\x04\x22\x4d\x18x", "compressed with lz4, which is not supported"),
        (b"PK\x03\x04\n\n", "a zip archive (as .xlsx, .docx and .jar are, too)"),
        (b"SQLite format 3\0x", "a SQLite database"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"\xff\xfea\0\n\0", "text in UTF-16"),
        (&gzip(b"a\n"), "compressed twice"),
        (&gzip(b"PK\x03\x04"), "a zip archive (as .xlsx, .docx and .jar are, too)"),
    ] {
        let packed = gzip(input);
        let input = if kind == "compressed twice" { &packed[..] } else { input };
        for framing in [Framing::Lines, Framing::Nul, Framing::Json] {
            let outcome = read(input, framing, 99).await;
            assert_eq!(outcome, (vec![], Some(format!("items.txt: it is {kind}"))));
        }
        let raw = Reading { raw: true, ..Reading::default() };
        assert!(!read(input, raw, 99).await.0.is_empty());
    }
    let (_, error) = collect(Items::from_reader(std::io::Cursor::new(tar), "f", Framing::Lines, 999)).await;
    assert_eq!(error.as_deref(), Some("f: it is a tar archive"));
    let (items, error) = read(b"a\0b\0", Framing::Lines, 99).await;
    assert_eq!(items.len(), 0);
    assert!(error.expect("NUL bytes").starts_with("items.txt:1: the input ends with a NUL byte"));
    // What only looks like it is text.
    for text in ["PAR1", "BZh9", "ORC", "7z", "PK", "Rar!", "]", "Obj"] {
        assert_eq!(read(text.as_bytes(), Framing::Lines, 99).await, (bodies(&[text]), None));
    }
}

#[tokio::test]
async fn zstd_frames_that_hold_no_items_are_skipped_wherever_they_are() {
    let pack =
        |text: &[u8]| ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest);
    let (first, last) = (*b"\x50\x2a\x4d\x18\x03\0\0\0abc", *b"\x5f\x2a\x4d\x18\0\0\0\0");
    let packed = [&first[..], &pack(b"apple\nban"), &first, &last, &pack(b"ana\n"), &last].concat();
    assert_eq!(read(&packed, Framing::Lines, 99).await, (bodies(&["apple", "banana"]), None));
    let (items, error) = read(&packed[..packed.len() - 3], Framing::Lines, 99).await;
    assert_eq!((items, error.is_some()), (bodies(&["apple", "banana"]), true));
}

#[tokio::test]
async fn zstd_that_does_not_match_its_checksum_is_damaged() {
    let text = "0123456789\n".repeat(100);
    let packed =
        ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    for bit in 0..32 {
        let mut damaged = packed.clone();
        let at = damaged.len() - 4 + bit / 8;
        damaged[at] ^= 1 << (bit % 8);
        let (_, error) = read(&damaged, Framing::Lines, 99).await;
        assert!(error.is_some(), "bit {bit} of the checksum");
    }
}

#[tokio::test]
async fn a_file_that_shrinks_is_an_error_and_half_a_line_is_not_an_item() {
    let dir = Dir::new("shrinks");
    let path = dir.file("items", "0123456789\n".repeat(100_000).as_bytes());
    let mut items = files(vec![path.clone()]);
    let first = items.next_chunk().await.expect("readable").expect("items");
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("ours");
    file.set_len(700_005).expect("ours");
    let (rest, error) = collect(items).await;
    assert_eq!(first.len() + rest.len(), 700_005 / 11);
    assert_eq!(error, Some(format!("cannot continue reading after {}:63636", path.display())));
}

#[tokio::test]
async fn a_gigabyte_without_a_newline_is_refused_early() {
    let endless = std::io::repeat(b'x').take(1 << 30);
    let (items, error) =
        collect(Items::from_reader(endless, "stdin", Framing::Lines, DEFAULT_MAX_SIZE)).await;
    assert_eq!(items, []);
    assert_eq!(error.as_deref(), Some("stdin:1: the item is larger than 16777216 bytes"));
}

#[tokio::test]
async fn items_of_slow_input_arrive_at_once() {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let mut items = Items::from_reader(reader, "stdin", Framing::Lines, 99);
    // It starts as a zstd frame might.
    writer.write_all(b"(\nfirst\nsec").expect("open");
    assert_eq!(items.next().await.expect("readable").expect("an item").body, "(");
    assert_eq!(items.next().await.expect("readable").expect("an item").body, "first");
    writer.write_all(b"ond\n").expect("open");
    assert_eq!(items.next_chunk().await.expect("readable").expect("items")[0].body, "second");
    // A pipe that closes in the middle of a line ends it.
    writer.write_all(b"third").expect("open");
    drop(writer);
    assert_eq!(items.next_chunk().await.expect("readable").expect("items")[0].body, "third");
    assert_eq!(items.next_chunk().await.expect("readable"), None);
}

#[tokio::test]
async fn a_reader_that_panics_is_not_the_end_of_the_input() {
    struct Panics;
    impl Read for Panics {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("as a bug would")
        }
    }
    let (items, error) = collect(Items::from_reader(Panics, "items.txt", Framing::Lines, 10)).await;
    assert!(items.is_empty());
    assert!(error.is_some_and(|error| error.contains("not all of them were read")));
}
