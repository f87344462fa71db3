//! Kinds of files, by their first bytes: those that are decompressed, and those that are no list of items.

/// Bytes that suffice to recognize every kind.
pub(super) const HEAD: usize = 262;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gzip,
    Zstd,
    /// Text that starts with a byte order mark of 3 bytes.
    Utf8Marked,
    /// What it is, in words that complete "it is".
    Unsupported(&'static str, Cure),
}

/// What makes a list of items of a file of another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cure {
    /// A command that takes the file as its last argument and writes text.
    Filter(&'static str),
    /// Only the user can say what in it is an item.
    Export,
}

impl Cure {
    pub(super) fn hint(self, input: &str) -> String {
        let raw = "--raw takes the bytes as they are";
        match self {
            Self::Filter(command) => {
                let file = if input == "stdin" { "" } else { input };
                let line = format!("{command} {file}");
                format!("read it through a pipe: `{} | kubectl workqueue … -f -`; or {raw}", line.trim_end())
            }
            Self::Export => format!("export what is in it as lines, or as JSON for --json; or {raw}"),
        }
    }
}

struct Magic {
    kind: Kind,
    at: usize,
    bytes: &'static [u8],
    /// The index of a byte, and the mask of its bits that matter.
    loose: (usize, u8),
}

impl Magic {
    const fn new(bytes: &'static [u8], kind: Kind) -> Self {
        Self { kind, at: 0, bytes, loose: (0, 0xff) }
    }

    const fn filter(bytes: &'static [u8], what: &'static str, command: &'static str) -> Self {
        Self::new(bytes, Kind::Unsupported(what, Cure::Filter(command)))
    }

    const fn other(bytes: &'static [u8], what: &'static str) -> Self {
        Self::new(bytes, Kind::Unsupported(what, Cure::Export))
    }

    /// Whether input that starts with `head` may be of this kind.
    fn agrees(&self, head: &[u8]) -> bool {
        let (loose, mask) = self.loose;
        let mask = |index| if index == loose { mask } else { 0xff };
        let mut pairs = head.get(self.at..).unwrap_or_default().iter().zip(self.bytes).enumerate();
        pairs.all(|(index, (byte, own))| (byte ^ own) & mask(index) == 0)
    }

    fn starts(&self, head: &[u8]) -> bool {
        head.len() >= self.at + self.bytes.len() && self.agrees(head)
    }
}

/// From the formats' specifications and file(1). Kinds whose first bytes could be a line of text are
/// left out. Longer ones come before those that they start with.
const KINDS: &[Magic] = &[
    // RFC 1952.
    Magic::new(b"\x1f\x8b", Kind::Gzip),
    // A zstd frame, and a skippable frame, which parallel compressors write first (RFC 8878).
    Magic::new(b"\x28\xb5\x2f\xfd", Kind::Zstd),
    Magic { loose: (0, 0xf0), ..Magic::new(b"\x50\x2a\x4d\x18", Kind::Zstd) },
    Magic::new(b"\xef\xbb\xbf", Kind::Utf8Marked),
    Magic::filter(b"\xff\xfe\0\0", "text in UTF-32", "iconv -f UTF-32 -t UTF-8"),
    Magic::filter(b"\0\0\xfe\xff", "text in UTF-32", "iconv -f UTF-32 -t UTF-8"),
    Magic::filter(b"\xff\xfe", "text in UTF-16", "iconv -f UTF-16 -t UTF-8"),
    Magic::filter(b"\xfe\xff", "text in UTF-16", "iconv -f UTF-16 -t UTF-8"),
    Magic::filter(b"\xfd7zXZ\0", "compressed with xz, which is not supported", "xz -dc"),
    Magic::filter(b"\x5d\0\0", "compressed with lzma, which is not supported", "xz -dc"),
    // The fourth byte is a digit.
    Magic {
        loose: (3, 0xf0),
        ..Magic::filter(b"BZh01AY&SY", "compressed with bzip2, which is not supported", "bzip2 -dc")
    },
    Magic::filter(b"\x04\x22\x4d\x18", "compressed with lz4, which is not supported", "lz4 -dc"),
    Magic::filter(b"\x02\x21\x4c\x18", "compressed with lz4, which is not supported", "lz4 -dc"),
    Magic::filter(b"LZIP\x01", "compressed with lzip, which is not supported", "lzip -dc"),
    Magic::filter(b"\x89LZO\0\r\n\x1a\n", "compressed with lzop, which is not supported", "lzop -dc"),
    Magic::filter(b"\x1f\x9d", "compressed with compress, which is not supported", "gzip -dc"),
    Magic::filter(b"\xff\x06\0\0sNaPpY", "compressed with snappy, which is not supported", "snzip -dc"),
    Magic::filter(b"PK\x03\x04", "a zip archive (as .xlsx, .docx and .jar are, too)", "unzip -p"),
    Magic::other(b"PK\x05\x06", "an empty zip archive"),
    Magic::filter(b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x -so"),
    Magic::filter(b"Rar!\x1a\x07", "a rar archive", "unrar p -inul"),
    Magic { at: 257, ..Magic::filter(b"ustar", "a tar archive", "tar -xOf") },
    Magic::other(b"SQLite format 3\0", "a SQLite database"),
    Magic::other(b"PAR1\x15", "a Parquet file"),
    Magic::other(b"Obj\x01", "an Avro file"),
    Magic::other(b"ARROW1\0\0", "an Arrow file"),
    Magic::other(b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    Magic::other(b"\x89PNG\r\n\x1a\n", "a PNG image"),
    Magic::other(b"\xff\xd8\xff", "a JPEG image"),
    Magic::other(b"%PDF-", "a PDF document"),
    Magic::other(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office document"),
    Magic::other(b"\x7fELF", "an executable"),
];

impl Kind {
    /// The kind of a file that starts with `head`; `None` for text, and for what is not known.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        KINDS.iter().find(|magic| magic.starts(head)).map(|magic| magic.kind)
    }

    /// Whether more bytes than `head` can make it another kind. Those that are known by bytes further
    /// inside are not waited for: the first line of a slow pipe is not delayed.
    pub(super) fn needs_more(head: &[u8]) -> bool {
        KINDS.iter().any(|magic| magic.at == 0 && head.len() < magic.bytes.len() && magic.agrees(head))
    }
}
