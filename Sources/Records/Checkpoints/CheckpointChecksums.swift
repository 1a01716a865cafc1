internal import Files

/// How a checkpoint proves that no bit of it has changed.
///
/// `__metadata__` holds `sha256.<tensor>`, the SHA-256 of each tensor's bytes, and `sha256`, the SHA-256 of the header's
/// canonical text (compact, keys sorted by bytes) without the key `sha256` itself. Since that text contains the
/// checksums of all tensors, `sha256` names the whole content. It does not depend on white space or the order of keys:
/// a file that the safetensors package of Python has read and written again, metadata included, still agrees.
/// A file has all of these keys or none: who edits a checkpoint on purpose leaves them out.
enum CheckpointChecksums {
  static let headerKey = "sha256"
  static let tensorPrefix = "sha256."

  static func isChecksum(key: String) -> Bool { key == headerKey || key.hasPrefix(tensorPrefix) }

  /// The metadata of a new file, digests as given, `sha256` over all of it.
  ///
  /// - Parameter digests: Of every tensor, in the tensors' order; 32 bytes each.
  static func sealed(
    _ metadata: [String: String], tensors: [SafetensorsTensor], digests: [[UInt8]]
  ) -> [String: String] {
    precondition(digests.count == tensors.count, "every tensor has a digest")
    var sealed = metadata
    for (tensor, digest) in zip(tensors, digests) {
      sealed[tensorPrefix + tensor.name] = SHA256.hexadecimal(digest)
    }
    sealed[headerKey] = headerDigest(metadata: sealed, tensors: tensors)
    return sealed
  }

  /// Metadata as long as the sealed ones, before the digests are known.
  static func unsealed(_ metadata: [String: String], names: [String]) -> [String: String] {
    precondition(!metadata.keys.contains(where: isChecksum), "keys that begin with sha256 are the checksums'")
    let digits = String(repeating: "0", count: 2 * SHA256.size)
    var unsealed = metadata
    for name in names { unsealed[tensorPrefix + name] = digits }
    unsealed[headerKey] = digits
    return unsealed
  }

  /// Checks the header against `sha256`; returns the tensors' checksums in the tensors' order, nil when the file has none.
  static func verify(_ header: SafetensorsHeader, file: String) throws(Failure) -> [String]? {
    let keys = header.metadata.keys.filter(isChecksum)
    guard !keys.isEmpty else { return nil }
    guard let expected = header.metadata[headerKey] else {
      throw Failure(.badData, "\(file): __metadata__: checksums of tensors, but no key 'sha256'; \(advice)")
    }
    var metadata = header.metadata
    metadata[headerKey] = nil
    let found = headerDigest(metadata: metadata, tensors: header.tensors)
    guard found == expected else {
      throw Failure(
        .badData, "\(file): header: expected SHA-256 \(quoted(expected)), found '\(found)'; \(advice)")
    }
    guard keys.count == header.tensors.count + 1 else {
      throw Failure(
        .badData,
        "\(file): __metadata__: expected \(header.tensors.count) checksums of tensors, found \(keys.count - 1); \(advice)"
      )
    }
    var checksums: [String] = []
    for tensor in header.tensors {
      guard let checksum = header.metadata[tensorPrefix + tensor.name] else {
        throw Failure(
          .badData, "\(file): tensor '\(tensor.name)': expected a checksum, found none; \(advice)")
      }
      checksums.append(checksum)
    }
    return checksums
  }

  /// What to do about a file that is not what was written.
  static let advice: Message =
    "the file is damaged or was edited; \(setting: "resume") auto falls back to the newest good checkpoint"

  private static func headerDigest(metadata: [String: String], tensors: [SafetensorsTensor]) -> String {
    SHA256.hexadecimal(SHA256.digest(of: SafetensorsHeader.text(metadata: metadata, tensors: tensors)))
  }
}
