import CCrypto

/// SHA-256 of bytes that arrive in pieces. One context serves many digests, since a file may hold 100 000 tensors.
package struct SHA256: ~Copyable {
  /// Bytes of a digest.
  package static let size = 32

  private let context: OpaquePointer

  package init() {
    guard let context = EVP_MD_CTX_new() else { preconditionFailure("libcrypto gives a context") }
    self.context = context
    start()
  }

  deinit { EVP_MD_CTX_free(context) }

  private func start() {
    precondition(EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1, "libcrypto offers SHA-256")
  }

  package func update(_ bytes: UnsafeRawBufferPointer) {
    precondition(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1, "SHA-256 takes any bytes")
  }

  package func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

  /// The digest of the bytes since the last call, 32 bytes.
  package func finish() -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: Self.size)
    precondition(EVP_DigestFinal_ex(context, &digest, nil) == 1, "SHA-256 ends")
    start()
    return digest
  }

  /// The digest of a text.
  package static func digest(of text: String) -> [UInt8] {
    let hash = SHA256()
    hash.update(Array(text.utf8))
    return hash.finish()
  }

  /// A digest in lower-case hexadecimal, two digits per byte.
  package static func hexadecimal(_ digest: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}

/// SHA-256 of pieces one after the other, in hexadecimal.
package func sha256(_ pieces: [UInt8]...) -> String {
  let hash = SHA256()
  for piece in pieces { hash.update(piece) }
  return SHA256.hexadecimal(hash.finish())
}
