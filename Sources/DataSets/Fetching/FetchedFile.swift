public import Files
internal import Glibc

extension Publication.Resource {
  /// The files that it comes to in a data set's directory.
  public var fileNames: [String] {
    switch check {
    case .content: [name]
    case .archive(_, let members): members
    }
  }

  /// Whether its files are in a directory already; whether they are right is `data verify`'s business.
  public func isThere(in directory: String) -> Bool {
    fileNames.allSatisfy { access("\(directory)/\($0)", R_OK) == 0 }
  }

  /// Checks a downloaded file and puts what it has into a directory, each file whole at once.
  ///
  /// - Parameters:
  ///   - path: of the download, in the same directory; it is gone afterwards.
  ///   - directory: of the data set.
  /// - Throws: `Failure`: `.badData` where it is not as published, `.inputOutput` for a failing or full disk.
  public func install(_ path: String, into directory: String) throws(Failure) {
    switch check {
    case .content(let checksum):
      try require(Self.fingerprint(of: try ByteSource(path: path)), checksum, path)
      try CheckedDirectory.rename(path, to: "\(directory)/\(name)")
    case .archive(let checksum, let members):
      try require(Self.fingerprint(of: try ByteSource(path: path, inflates: false)), checksum, path)
      try Self.unpack(members, of: path, into: directory)
      try CheckedDirectory.remove(path)
    }
  }

  private func require(_ found: String, _ checksum: String, _ path: String) throws(Failure) {
    guard found == checksum else {
      throw Failure(
        .badData,
        "\(path): is not \(name) as it was published: SHA-256 \(found), expected \(checksum); try again, or another mirror"
      )
    }
  }

  private static func fingerprint(of source: ByteSource) throws(Failure) -> String {
    let hash = SHA256()
    var bytes = [UInt8](repeating: 0, count: 1 << 18)
    while true {
      let got = try source.read(filling: &bytes)
      bytes.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<got])) }
      if got < bytes.count { return SHA256.hexadecimal(hash.finish()) }
    }
  }

  private static func unpack(
    _ members: [String], of path: String, into directory: String
  ) throws(Failure) {
    var archive = TarReader(try ByteSource(path: path))
    var missing = Set(members)
    while let entry = try archive.next() {
      let name = pathParts(of: entry.path).name
      guard missing.remove(name) != nil else { continue }
      let target = "\(directory)/\(name)"
      try SafeFile.make(
        target, failure: { $0.making(target) },
        writing: { file throws(Failure) in
          while true {
            let bytes = try archive.read(upTo: 1 << 18)
            if bytes.isEmpty { break }
            try file.write(bytes)
          }
        })
    }
    guard missing.isEmpty else {
      throw Failure(.badData, "\(path): the archive lacks \(missing.sorted().joined(separator: ", "))")
    }
  }
}
