import Files
import Testing

/// First bytes as the formats' specifications have them.
struct FileSignatureTests {
  private static func zip(_ member: String) -> [UInt8] {
    [0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: 22) + [UInt8(member.utf8.count), 0, 0, 0]
      + Array(member.utf8)
  }

  private static let heads: [(FileSignature, [UInt8])] = [
    (.gitLFS, Array("version https://git-lfs.github.com/spec/v1\noid sha256:00".utf8)),
    (.webPage, Array("\n<!DOCTYPE html><html>".utf8)), (.webPage, Array("<HTML>".utf8)),
    (.gzip, [0x1F, 0x8B, 8]), (.xz, [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0]), (.bzip2, Array("BZh9".utf8)),
    (.zstd, [0x28, 0xB5, 0x2F, 0xFD]), (.sevenZip, [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C]),
    (.tar, [UInt8](repeating: 97, count: 257) + Array("ustar".utf8)),
    (.npz, zip("x_test.npy")), (.torch, zip("archive/data.pkl")), (.zip, zip("train.csv")),
    (.zip, [0x50, 0x4B, 5, 6]), (.npy, [0x93] + Array("NUMPY".utf8)),
    (.pickle, [0x80, 2, 0x8A, 10]), (.pickle, [0x80, 4, 0x95]),
    (.hdf5, [0x89] + Array("HDF\r\n\u{1A}\n".utf8)), (.matlab, Array("MATLAB 5.0 MAT-file".utf8)),
    (.parquet, Array("PAR1".utf8)), (.arrow, Array("ARROW1".utf8)),
    (.png, [0x89] + Array("PNG\r\n\u{1A}\n".utf8)), (.jpeg, [0xFF, 0xD8, 0xFF, 0xE0]),
    (.gif, Array("GIF89a".utf8)), (.json, Array("{\"weight_map\":".utf8)),
    (.csv, Array("label,1x1,1x2,1x3\n5,0,0,0\n".utf8)), (.csv, Array("5,0,0,12\r\n".utf8)),
  ]

  @Test func aFormatIsKnownByItsFirstBytes() {
    for (expected, head) in Self.heads {
      let found = FileSignature(head: head)
      #expect(found == expected, "\(String(describing: found)) for \(expected)")
      #expect(found?.adviceForData.isEmpty == false && found?.adviceForWeights.isEmpty == false)
    }
    #expect(Set(Self.heads.map(\.0)).count == FileSignature.allCases.count)
  }

  /// Every beginning of every head, numbers as they stand in IDX, CIFAR and safetensors files, and nothing.
  @Test func nothingElseIsKnown() {
    for (_, head) in Self.heads {
      for count in head.indices { _ = FileSignature(head: Array(head[..<count])) }
    }
    let others: [[UInt8]] = [
      [], [0, 0, 8, 3, 0, 0, 0, 60], [6, 59, 43, 50, 68], [0x80, 2, 0, 0, 0, 0, 0, 0, 0x7B, 0x22],
    ]
    for head in others { #expect(FileSignature(head: head) == nil) }
  }
}
