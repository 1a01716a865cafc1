/// Where a data set is published, and how its files are known.
public struct Publication: Sendable {
  /// A file as it is published.
  public struct Resource: Sendable {
    /// The SHA-256 that decides whether it is the right file.
    package enum Check: Sendable {
      /// Of the decompressed content.
      case content(String)
      /// Of the archive itself, a tar file in gzip, from which the members of these names are taken, wherever they lie in it.
      case archive(String, members: [String])
    }

    /// Its name, the last part of its address and of its path in a mirror.
    public let name: String
    /// Bytes, for the user to know what comes.
    public let size: Int
    let check: Check

    package init(name: String, size: Int, check: Check) {
      self.name = name
      self.size = size
      self.check = check
    }
  }

  public let resources: [Resource]
  /// Addresses, without the name of a file, the first to be tried first; all are https.
  public let addresses: [String]

  /// The four IDX files of a data set, compressed.
  ///
  /// - Parameter sizes: bytes of the compressed files.
  static func idx(
    _ addresses: [String], sizes: [DataPart: Int], contents: [DataPart: String]
  ) -> Publication {
    Publication(
      resources: DataPart.allCases.map { part in
        guard let size = sizes[part], let content = contents[part] else {
          preconditionFailure("the size and the checksum of \(part.rawValue) are known")
        }
        return Resource(name: part.fileNames[0] + ".gz", size: size, check: .content(content))
      }, addresses: addresses)
  }

  /// A binary archive from the authors' page of the CIFAR data sets.
  static func cifar(_ archive: String, size: Int, checksum: String, members: [String]) -> Publication {
    Publication(
      resources: [Resource(name: archive, size: size, check: .archive(checksum, members: members))],
      addresses: ["https://www.cs.toronto.edu/~kriz"])
  }
}
