internal import CCrypto

/// SHA-256 over bytes that arrive in pieces; one context serves many digests, since a checkpoint may hold 100 000 tensors.
struct Checksum: ~Copyable {
  /// Bytes of a digest.
  static let size = 32

  private let context: OpaquePointer

  init() {
    guard let context = EVP_MD_CTX_new() else { preconditionFailure("libcrypto gives a context") }
    self.context = context
    start()
  }

  deinit { EVP_MD_CTX_free(context) }

  private func start() {
    precondition(EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1, "libcrypto offers SHA-256")
  }

  func update(_ bytes: UnsafeRawBufferPointer) {
    precondition(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1, "SHA-256 takes any bytes")
  }

  /// The digest of the bytes since the last call, 32 bytes.
  func finish() -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: Self.size)
    precondition(EVP_DigestFinal_ex(context, &digest, nil) == 1, "SHA-256 ends")
    start()
    return digest
  }

  /// The digest of a text.
  static func of(_ text: String) -> [UInt8] {
    let checksum = Checksum()
    var text = text
    text.withUTF8 { checksum.update(UnsafeRawBufferPointer($0)) }
    return checksum.finish()
  }

  /// A digest in lower-case hexadecimal, two digits per byte.
  static func hexadecimal(_ digest: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
