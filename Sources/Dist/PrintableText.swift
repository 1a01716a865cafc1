extension String {
  /// The text as a terminal may show it: control characters but newline and tab, and characters that reorder or break
  /// lines, are written out as `\u{1B}`. Names of files, options and metadata are somebody else's, and a terminal obeys what
  /// it is sent.
  package var printable: String { written { $0 == 0x0A || $0 == 0x09 } }

  /// As ``printable``, and one line: a newline is written out, too, so that no name can add a line of its own.
  package var printableLine: String { written { $0 == 0x09 } }

  private func written(keeping isKept: (UInt32) -> Bool) -> String {
    func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
      switch scalar.value {
      case 0x00...0x1F: !isKept(scalar.value)
      // DEL and C1, among them the one-character form of ESC [.
      case 0x7F...0x9F: true
      // Marks, embeddings, overrides and isolates of direction.
      case 0x061C, 0x200E...0x200F, 0x202A...0x202E, 0x2066...0x2069: true
      // Separators of lines and paragraphs.
      case 0x2028...0x2029: true
      default: false
      }
    }
    guard unicodeScalars.contains(where: isUnsafe) else { return self }
    var text = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      if isUnsafe(scalar) {
        text.append(contentsOf: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}".unicodeScalars)
      } else {
        text.append(scalar)
      }
    }
    return String(text)
  }
}
