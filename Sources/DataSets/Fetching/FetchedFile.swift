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
      guard rename(path, "\(directory)/\(name)") == 0 else {
        throw Failure(.inputOutput, "cannot rename \(path): \(SafeFile.errorText())")
      }
    case .archive(let checksum, let members):
      try require(Self.fingerprint(ofFile: path), checksum, path)
      try Self.unpack(members, of: path, into: directory)
      unlink(path)
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

  private static func fingerprint(ofFile path: String) throws(Failure) -> String {
    let file = try InputFile(path: path)
    let hash = SHA256()
    var bytes = [UInt8](repeating: 0, count: 1 << 18)
    var offset = 0
    while offset < file.size {
      let got = try bytes.withUnsafeMutableBufferPointer { buffer throws(Failure) in
        try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
      }
      guard got > 0 else { break }
      bytes.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<got])) }
      offset += got
    }
    return SHA256.hexadecimal(hash.finish())
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
      let temporary = SafeFile.temporaryPath(for: target)
      let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else {
        throw Failure(.cannotCreate, "cannot make \(target): \(SafeFile.errorText())")
      }
      do throws(Failure) {
        while true {
          let bytes = try archive.read(upTo: 1 << 18)
          if bytes.isEmpty { break }
          try SafeFile.write(bytes, to: descriptor, target)
        }
      } catch {
        close(descriptor)
        unlink(temporary)
        throw error
      }
      let isSafe = fsync(descriptor) == 0
      guard close(descriptor) == 0, isSafe, rename(temporary, target) == 0 else {
        let failure = Failure(.inputOutput, "cannot write \(target): \(SafeFile.errorText())")
        unlink(temporary)
        throw failure
      }
    }
    guard missing.isEmpty else {
      throw Failure(.badData, "\(path): the archive lacks \(missing.sorted().joined(separator: ", "))")
    }
  }
}
