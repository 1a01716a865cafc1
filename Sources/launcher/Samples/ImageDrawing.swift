package import DataSets
import Numerics

/// An image as lines of characters. A character covers a pixel's width and two pixels' height: half blocks where there are
/// colours, else the more of a character is ink, the brighter it is.
package struct ImageDrawing {
  /// With escape sequences for colours, where there are some; each ends without any.
  package let lines: [String]
  /// Characters of a line.
  package let width: Int

  /// - Parameter columns: characters of a line at most; a wider image is halved until it fits.
  package init(_ sample: Int, of images: ImageSet, columns: Int, _ look: TerminalLook) {
    var halvings = 0
    while halvings < 16, images.shape.width >> halvings > max(columns, 1) { halvings += 1 }
    let image = ReducedImage(sample, of: images, halvings: halvings)
    width = image.width
    lines = stride(from: 0, to: image.height, by: 2).map { y in
      look.colours == .none
        ? Self.inked(image, y, hasBlocks: look.isTerminal && look.hasBlocks)
        : Self.coloured(image, y, look.colours)
    }
  }

  // MARK: Ink

  private static func inked(_ image: ReducedImage, _ y: Int, hasBlocks: Bool) -> String {
    let ramp = Array(hasBlocks ? " ░▒▓█" : " .:-=+*#%@")
    var line = (0..<image.width).map { x in
      let rows = y..<min(y + 2, image.height)
      let sum = rows.reduce(0) { $0 + grey(colour(image, $1, x)) }
      return ramp[sum * ramp.count / (256 * rows.count)]
    }
    while line.last == " " { line.removeLast() }
    return String(line)
  }

  // MARK: Colours

  private typealias Colour = (red: Int, green: Int, blue: Int)

  private static func colour(_ image: ReducedImage, _ y: Int, _ x: Int) -> Colour {
    func value(_ channel: Int) -> Int { Int(image[min(channel, image.channels - 1), y, x]) }
    return (value(0), value(1), value(2))
  }

  /// Luma of ITU-R BT.601.
  private static func grey(_ colour: Colour) -> Int {
    (299 * colour.red + 587 * colour.green + 114 * colour.blue) / 1000
  }

  private static func coloured(_ image: ReducedImage, _ y: Int, _ colours: TerminalLook.Colours) -> String {
    var line = ""
    var last = ""
    for x in 0..<image.width {
      func code(_ y: Int) -> String {
        Self.code(colour(image, y, x), colours, isGrey: image.channels == 1)
      }
      let above = code(y)
      let below = y + 1 < image.height ? code(y + 1) : nil
      let escape = "\u{1B}[38;\(above);\(below.map { "48;\($0)" } ?? "49")m"
      if escape != last { line += escape }
      last = escape
      line += "▀"
    }
    return line + "\u{1B}[0m"
  }

  /// The parameters of an escape sequence behind 38 or 48.
  private static func code(_ colour: Colour, _ colours: TerminalLook.Colours, isGrey: Bool) -> String {
    if colours == .all { return "2;\(colour.red);\(colour.green);\(colour.blue)" }
    // 24 greys from 232 on, a cube of six steps per colour from 16 on.
    if isGrey { return "5;\(232 + colour.red * 24 / 256)" }
    func step(_ value: Int) -> Int { (5 * value + 127) / 255 }
    return "5;\(16 + 36 * step(colour.red) + 6 * step(colour.green) + step(colour.blue))"
  }
}
