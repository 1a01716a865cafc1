internal import Files

extension SafetensorsHeader {
  /// The length of the text, from the first eight bytes of a file, checked before anything is allocated for it.
  ///
  /// - Throws: ``Failure`` with ``ExitCode/badData`` that names the file.
  static func textLength(prefix: [UInt8], fileSize: Int, file: String) throws(Failure) -> Int {
    guard prefix.count == 8 else {
      throw Failure(
        .badData, "\(file): expected a safetensors file, at least 8 bytes, found \(fileSize) bytes")
    }
    let length = prefix.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(maximumLength) else {
      throw Failure(
        .badData,
        "\(file): header length: expected at most \(maximumLength) bytes, found \(length); is this a safetensors file?"
      )
    }
    guard Int(length) <= fileSize - 8 else {
      throw Failure(
        .badData,
        "\(file): header length: expected at most the \(fileSize - 8) bytes that follow, found \(length); the file is truncated or no safetensors file"
      )
    }
    return Int(length)
  }

  /// Reads the text of a header and checks every promise of the format, and our narrower ones.
  ///
  /// - Parameters:
  ///   - text: The bytes after the length.
  ///   - fileSize: Bytes of the whole file, which the tensors must fill to the last byte.
  ///   - file: The name for messages.
  /// - Throws: ``Failure`` with ``ExitCode/badData``: file, tensor, what was expected and what was found.
  init(parsing text: [UInt8], fileSize: Int, file: String) throws(Failure) {
    let root: JSONValue
    do { root = try JSONValue(parsing: text) } catch {
      throw Failure(.badData, "\(file): header: \(error.reason) at byte \(8 + error.offset)")
    }
    guard case .object(let members) = root else {
      throw Failure(.badData, "\(file): header: expected a JSON object, found another value")
    }
    var metadata: [String: String] = [:]
    var tensors: [SafetensorsTensor] = []
    tensors.reserveCapacity(members.count)
    for member in members {
      if member.key == "__metadata__" {
        metadata = try Self.readMetadata(member.value, file: file)
      } else {
        tensors.append(try Self.readTensor(member, file: file))
      }
    }
    guard tensors.count <= Self.maximumTensors else {
      throw Failure(
        .badData, "\(file): expected at most \(Self.maximumTensors) tensors, found \(tensors.count)")
    }
    tensors.sort { left, right in
      (left.range.lowerBound, left.range.upperBound, left.name)
        < (right.range.lowerBound, right.range.upperBound, right.name)
    }
    self.init(metadata: metadata, tensors: tensors, dataOffset: 8 + text.count)
    try checkCoverage(fileSize: fileSize, file: file)
  }

  private static func readMetadata(_ value: JSONValue, file: String) throws(Failure) -> [String: String] {
    guard case .object(let members) = value else {
      throw Failure(.badData, "\(file): __metadata__: expected an object of strings, found another value")
    }
    var metadata: [String: String] = [:]
    for member in members {
      guard case .string(let text) = member.value else {
        throw Failure(
          .badData,
          "\(file): __metadata__: expected a string for key \(quoted(member.key)), found another value")
      }
      metadata[member.key] = text
    }
    return metadata
  }

  private static func readTensor(_ member: JSONValue.Member, file: String) throws(Failure)
    -> SafetensorsTensor
  {
    let place = "\(file): tensor \(quoted(member.key))"
    guard isAllowed(name: member.key) else {
      throw Failure(
        .badData,
        "\(place): expected a name of 1 to \(maximumNameBytes) letters, digits, '.', '_' and '-', found another"
      )
    }
    guard case .object(let fields) = member.value, fields.count == 3, let type = member.value["dtype"],
      let shape = member.value["shape"], let offsets = member.value["data_offsets"]
    else { throw Failure(.badData, "\(place): expected an object with dtype, shape and data_offsets alone") }

    guard let typeName = type.stringValue, let type = SafetensorsType(rawValue: typeName) else {
      throw Failure(.badData, "\(place): expected a known dtype, found \(quoted(type.stringValue ?? ""))")
    }
    guard let shape = readCounts(shape), shape.count <= maximumRank else {
      throw Failure(
        .badData, "\(place): expected a shape of at most \(maximumRank) counts, found another value")
    }
    guard let offsets = readCounts(offsets), offsets.count == 2, offsets[0] <= offsets[1] else {
      throw Failure(
        .badData, "\(place): expected data_offsets [begin, end] with begin <= end, found another value")
    }
    guard let bytes = type.bytes(shape: shape) else {
      throw Failure(.badData, "\(place): expected a whole number of addressable bytes, found shape \(shape)")
    }
    let range = offsets[0]..<offsets[1]
    guard range.count == bytes else {
      throw Failure(
        .badData,
        "\(place): expected \(bytes) bytes for \(type.rawValue) \(shape), found data_offsets of \(range.count) bytes"
      )
    }
    return SafetensorsTensor(name: member.key, type: type, shape: shape, range: range)
  }

  /// An array of integers that are not negative, or nil.
  private static func readCounts(_ value: JSONValue) -> [Int]? {
    guard case .array(let elements) = value else { return nil }
    var counts: [Int] = []
    for element in elements {
      guard let count = element.integerValue, count >= 0 else { return nil }
      counts.append(count)
    }
    return counts
  }

  /// The tensors, one after the other, fill the data: no byte belongs to none or to two of them, as in files that are
  /// something else at the same time, or small on disk and huge in memory.
  private func checkCoverage(fileSize: Int, file: String) throws(Failure) {
    var end = 0
    for tensor in tensors {
      guard tensor.range.lowerBound == end else {
        let fault =
          tensor.range.lowerBound > end ? "a hole before it" : "an overlap with the tensor before it"
        throw Failure(
          .badData,
          "\(file): tensor \(quoted(tensor.name)): expected data to begin at \(end), found \(tensor.range.lowerBound), \(fault)"
        )
      }
      end = tensor.range.upperBound
    }
    let available = fileSize - dataOffset
    guard end == available else {
      let fault = end > available ? "the file is truncated" : "bytes follow the last tensor"
      throw Failure(
        .badData, "\(file): expected \(end) bytes of tensor data, found \(available): \(fault)")
    }
  }
}
