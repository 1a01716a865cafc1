internal import Glibc

/// Operations on names in one directory.
package enum CheckedDirectory {
  /// Makes the names that were made, replaced or removed in a directory last beyond a power cut.
  package static func synchronise(_ path: String) throws(Failure) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw SystemError.last.failure("cannot use directory \(path)") }
    defer { close(descriptor) }
    // Some network file systems have no fsync for directories and say EINVAL.
    guard fsync(descriptor) == 0 || errno == EINVAL else {
      throw SystemError.last.failure("cannot write directory \(path) to the disk")
    }
  }

  /// Removes a name that may be absent; what is not a file stays and is an error.
  package static func remove(_ path: String) throws(Failure) {
    guard unlink(path) == 0 || errno == ENOENT else {
      let error = SystemError.last
      throw error.isOfDevice
        ? error.failure("cannot remove \(path)")
        : Failure(.cannotCreate, "cannot remove \(path): \(error.words)")
    }
  }

  /// Gives a complete file its final name, replacing a file of that name.
  package static func rename(_ old: String, to new: String) throws(Failure) {
    guard Glibc.rename(old, new) == 0 else {
      throw SystemError.last.failure("cannot rename \(old) to \(pathParts(of: new).name)")
    }
  }

  /// The names in a directory in ascending order, with whether each is a plain file itself.
  ///
  /// - Throws: ``Failure``: not there (66), no directory (65), not readable (74).
  package static func names(_ path: String) throws(Failure) -> [(name: String, isPlain: Bool)] {
    guard let directory = opendir(path) else {
      let error = SystemError.last
      if error.number == ENOTDIR, let kind = FileKind(at: path, followingLinks: true) {
        throw kind.failure(at: path, expected: .directory, isOfRun: false)
      }
      throw error.opening(path)
    }
    defer { closedir(directory) }
    var names: [(name: String, isPlain: Bool)] = []
    while true {
      // The end and an error look alike but for this.
      errno = 0
      guard let entry = readdir(directory) else {
        guard errno == 0 else { throw SystemError.last.failure("cannot read \(path)") }
        break
      }
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: entry.pointee.d_name))
        {
          String(cString: $0)
        }
      }
      names.append((name, FileKind(at: path + "/" + name, followingLinks: false) == .plain))
    }
    return names.sorted { $0.name < $1.name }
  }
}
