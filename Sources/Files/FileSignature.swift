/// What a file is by its first bytes, where it is not what was wanted: for the words of an error, never to read it.
package enum FileSignature: String, CaseIterable, Sendable {
  case gitLFS = "a Git LFS pointer, which stands for the file"
  case webPage = "a web page"
  case gzip = "a gzip file"
  case xz = "an xz file"
  case bzip2 = "a bzip2 file"
  case zstd = "a zstd file"
  case sevenZip = "a 7z archive"
  case tar = "a tar archive"
  case npz = "a NumPy archive (.npz)"
  case torch = "a zip with a pickle in it, as PyTorch saves (.pt)"
  case zip = "a zip archive"
  case npy = "a NumPy array (.npy)"
  case pickle = "a pickle, as Python and older PyTorch (.pt, .bin) save"
  case hdf5 = "an HDF5 file"
  case matlab = "a MATLAB file"
  case parquet = "a Parquet file"
  case arrow = "an Arrow file"
  case png = "a PNG picture"
  case jpeg = "a JPEG picture"
  case gif = "a GIF picture"
  case csv = "a table as text (CSV)"
  case json = "JSON"

  /// Bytes of a file that are looked at.
  package static let headBytes = 512

  /// - Parameter head: the first bytes, as many as there are up to ``headBytes``; nil where they are of none of these.
  package init?(head: [UInt8]) {
    func begins(_ bytes: [UInt8], at offset: Int = 0) -> Bool { head.dropFirst(offset).starts(with: bytes) }
    func begins(_ text: String, at offset: Int = 0) -> Bool { begins(Array(text.utf8), at: offset) }
    let text = String(decoding: head.prefix(64), as: UTF8.self).lowercased().drop { $0.isWhitespace }
    switch true {
    case begins("version https://git-lfs.github.com/"): self = .gitLFS
    case text.hasPrefix("<!doctype"), text.hasPrefix("<html"): self = .webPage
    case begins([0x1F, 0x8B]): self = .gzip
    case begins([0xFD, 0x37, 0x7A, 0x58, 0x5A]): self = .xz
    case begins("BZh") && head.count > 3 && (0x31...0x39).contains(head[3]): self = .bzip2
    case begins([0x28, 0xB5, 0x2F, 0xFD]): self = .zstd
    case begins([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C]): self = .sevenZip
    case begins("ustar", at: 257): self = .tar
    case begins([0x50, 0x4B, 3, 4]), begins([0x50, 0x4B, 5, 6]): self = Self.zipped(head)
    case begins([0x93] + Array("NUMPY".utf8)): self = .npy
    // Protocols 2 to 5; the opcode that follows is none of the zeros of a number.
    case head.count > 2 && head[0] == 0x80 && (2...5).contains(head[1]) && head[2] != 0: self = .pickle
    case begins([0x89] + Array("HDF\r\n".utf8)): self = .hdf5
    case begins("MATLAB 5.0"): self = .matlab
    case begins("PAR1"): self = .parquet
    case begins("ARROW1"): self = .arrow
    case begins([0x89] + Array("PNG\r\n".utf8)): self = .png
    case begins([0xFF, 0xD8, 0xFF]): self = .jpeg
    case begins("GIF8"): self = .gif
    case text.hasPrefix("{\""), text.hasPrefix("{ \""): self = .json
    case Self.isTable(head): self = .csv
    default: return nil
    }
  }

  /// By the name of the first member.
  private static func zipped(_ head: [UInt8]) -> FileSignature {
    guard head.count > 30 else { return .zip }
    let name = head[30...].prefix(Int(head[26]) | Int(head[27]) << 8)
    let text = String(decoding: name, as: UTF8.self)
    if text.hasSuffix(".npy") { return .npz }
    return text.hasSuffix("data.pkl") ? .torch : .zip
  }

  /// Numbers with commas between them, with or without a line of names.
  private static func isTable(_ head: [UInt8]) -> Bool {
    let lines = head.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    let comma = UInt8(ascii: ",")
    guard let first = lines.first, first.count(where: { $0 == comma }) > 2 else { return false }
    return head.allSatisfy { (0x20...0x7E).contains($0) || [9, 10, 13].contains($0) }
  }

  /// What can be done where images or labels were wanted.
  package var adviceForData: String {
    switch self {
    case .gitLFS: "run 'git lfs pull' to get it"
    case .webPage: "download the file itself"
    case .gzip: "decompress it once"
    case .xz: "decompress it by 'xz -dk'"
    case .bzip2: "decompress it by 'bzip2 -dk'"
    case .zstd: "decompress it by 'zstd -dk'"
    case .sevenZip, .tar, .zip: "unpack it"
    case .torch, .pickle: "it may run code when read; write its arrays as IDX files"
    case .npz, .npy, .hdf5, .matlab, .parquet, .arrow, .csv: "write its arrays as IDX files"
    case .png, .jpeg, .gif: "write the pixels as an IDX file, for 32 × 32 colours as CIFAR records"
    case .json: "name the file of the images or labels"
    }
  }

  /// What can be done where the weights of a model were wanted.
  package var adviceForWeights: String {
    switch self {
    case .gitLFS: "run 'git lfs pull' to get it"
    case .webPage: "download the file itself"
    case .gzip, .xz, .bzip2, .zstd: "decompress it"
    case .sevenZip, .tar, .zip: "unpack it"
    case .torch, .pickle: "it may run code when read; convert it with safetensors.torch.save_file"
    case .npz, .npy: "convert it with safetensors.numpy.save_file"
    case .json: "name the safetensors file itself, not an index of it"
    default: "convert it to a safetensors file"
    }
  }
}
