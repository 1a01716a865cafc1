internal import Files

/// A value inside a JSON file of a run directory, with its place for messages.
struct FieldReader {
  let file: String
  /// Such as `account.experts[2]`; empty for the whole file.
  let place: String
  let json: JSONValue

  /// Reads a file that holds one JSON value; nil where there is no such file.
  ///
  /// - Throws: ``Failure`` for text that is not JSON, with the line.
  init?(file: String, limit: Int) throws(Failure) {
    guard let bytes = try SafeFile.read(file, limit: limit, followingLinks: false) else { return nil }
    do {
      json = try JSONValue(parsing: bytes)
    } catch {
      let line = 1 + bytes.prefix(error.offset).count { $0 == UInt8(ascii: "\n") }
      throw Failure(.badData, "\(file):\(line): no JSON: \(error.reason); the run's record is damaged")
    }
    self.file = file
    place = ""
  }

  init(file: String, place: String, json: JSONValue) {
    self.file = file
    self.place = place
    self.json = json
  }

  func wrong(_ expected: String) -> Failure {
    Failure(.badData, "\(file): \(place.isEmpty ? "the file" : "'\(place)'") is not \(expected)")
  }

  private func path(_ key: String) -> String { place.isEmpty ? key : "\(place).\(key)" }

  /// The value of a key; nil where it is absent or null.
  subscript(key: String) -> FieldReader? {
    guard let value = json[key], value != .null else { return nil }
    return FieldReader(file: file, place: path(key), json: value)
  }

  func required(_ key: String) throws(Failure) -> FieldReader {
    guard let value = self[key] else { throw wrong("complete: it lacks '\(key)'") }
    return value
  }

  var elements: [FieldReader] {
    get throws(Failure) {
      guard case .array(let values) = json else { throw wrong("a list") }
      return values.enumerated().map {
        FieldReader(file: file, place: "\(place)[\($0.offset)]", json: $0.element)
      }
    }
  }

  /// A whole number from 0 to 2^62.
  var count: Int {
    get throws(Failure) {
      guard let value = json.integerValue, (0...1 << 62).contains(value) else {
        throw wrong("a whole number, at least 0")
      }
      return value
    }
  }

  var number: Double {
    get throws(Failure) {
      guard let value = json.numberValue else { throw wrong("a number") }
      return value
    }
  }

  /// A number of seconds or a share: not negative.
  var amount: Double {
    get throws(Failure) {
      let value = try number
      guard value >= 0, value < 1e15 else { throw wrong("a number, at least 0") }
      return value
    }
  }

  var text: String {
    get throws(Failure) {
      guard let value = json.stringValue else { throw wrong("a text") }
      return value
    }
  }

  var texts: [String] {
    get throws(Failure) {
      var found: [String] = []
      for element in try elements { found.append(try element.text) }
      return found
    }
  }

  var counts: [Int] {
    get throws(Failure) {
      var found: [Int] = []
      for element in try elements { found.append(try element.count) }
      return found
    }
  }

  /// The members of a flat object of texts, by ascending key.
  var pairs: [(name: String, value: String)] {
    get throws(Failure) {
      guard case .object(let members) = json else { throw wrong("an object") }
      var found: [(name: String, value: String)] = []
      for member in members.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
        guard let value = member.value.stringValue else { throw wrong("an object of texts") }
        found.append((member.key, value))
      }
      return found
    }
  }
}
