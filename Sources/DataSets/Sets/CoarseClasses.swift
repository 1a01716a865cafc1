internal import Files

/// Which coarse class every class belongs to, learnt from records that name both.
struct CoarseClasses {
  private var found: [Int?]
  private var firstPlace: [String]

  init(classes: Int) {
    found = Array(repeating: nil, count: classes)
    firstPlace = Array(repeating: "", count: classes)
  }

  /// The coarse class of every class; nil where a class has no record.
  var ofClass: [Int]? {
    let known = found.compactMap { $0 }
    return known.count == found.count ? known : nil
  }

  /// Looks at the records of a file.
  ///
  /// - Parameter recordBytes: bytes of a record, to name the place of a contradiction.
  /// - Throws: `Failure(.badData, …)` where a class has another coarse class than in an earlier record.
  mutating func add(_ set: ImageSet, path: String, recordBytes: Int) throws(Failure) {
    guard let coarseLabels = set.coarseLabels else { return }
    for index in 0..<set.count {
      let (label, coarse) = (Int(set.labels[index]), Int(coarseLabels[index]))
      guard let before = found[label] else {
        found[label] = coarse
        firstPlace[label] = "\(path) at byte \(index * recordBytes)"
        continue
      }
      guard before == coarse else {
        throw Failure(
          .badData,
          "\(path): at byte \(index * recordBytes): expected coarse label \(before) with fine label \(label), as in "
            + "\(firstPlace[label]), found \(coarse)")
      }
    }
  }
}

/// The names in a text file, one a line, as CIFAR's archives have them; empty lines at the end do not count.
///
/// - Throws: `Failure(.badData, …)` for another number of names or names that are no printable text.
func readLabelNames(_ path: String, count: Int) throws(Failure) -> [String] {
  let source = try ByteSource(path: path)
  var bytes = [UInt8](repeating: 0, count: 65_537)
  let got = try source.read(filling: &bytes)
  guard got < bytes.count else {
    throw Failure(
      .badData, "\(path): at byte 65536: expected \(count) names, found a file that goes on")
  }
  var lines = bytes[..<got].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    .map { $0.last == UInt8(ascii: "\r") ? $0.dropLast() : $0 }
  while lines.last?.isEmpty == true { lines.removeLast() }
  guard lines.count == count else {
    throw Failure(.badData, "\(path): at byte 0: expected \(count) names, one a line, found \(lines.count)")
  }
  var names: [String] = []
  for line in lines {
    guard let name = String(validating: line, as: UTF8.self), (1...100).contains(name.count),
      name.unicodeScalars.allSatisfy({ !$0.properties.isPatternWhitespace || $0 == " " }),
      name.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
    else {
      throw Failure(
        .badData,
        "\(path): at byte \(line.startIndex): expected a name of 1 to 100 characters, found other bytes")
    }
    names.append(name)
  }
  return names
}
