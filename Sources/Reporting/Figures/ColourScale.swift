internal import Glibc

/// An sRGB colour, components from 0 to 1.
package struct Colour: Equatable {
  package var red: Double
  package var green: Double
  package var blue: Double

  package init(red: Double, green: Double, blue: Double) {
    self.red = red
    self.green = green
    self.blue = blue
  }

  /// From 0xRRGGBB.
  package init(_ code: UInt32) {
    red = Double(code >> 16 & 255) / 255
    green = Double(code >> 8 & 255) / 255
    blue = Double(code & 255) / 255
  }

  /// As markup names it: `#rrggbb`.
  package var code: String {
    "#"
      + [red, green, blue].map { component in
        let text = String(Int((255 * component).rounded()), radix: 16)
        return text.count == 1 ? "0" + text : text
      }.joined()
  }

  /// Relative luminance as WCAG 2 defines it, from 0 (black) to 1 (white).
  package var luminance: Double {
    func linear(_ component: Double) -> Double {
      component <= 0.04045 ? component / 12.92 : pow((component + 0.055) / 1.055, 2.4)
    }
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
  }

  /// The contrast ratio of WCAG 2, from 1 to 21.
  package func contrast(to other: Colour) -> Double {
    let (light, dark) = (max(luminance, other.luminance), min(luminance, other.luminance))
    return (light + 0.05) / (dark + 0.05)
  }
}

/// Colours for amounts: one hue from almost white to dark, darker is more. Blue and orange are told apart with every common
/// kind of colour blindness.
package enum ColourScale {
  package enum Hue: CaseIterable {
    /// Of what is there, or right.
    case amount
    /// Of what is wrong.
    case fault
    /// Of what does not count.
    case none

    // ColorBrewer's nine-class Blues, Oranges and Greys (Harrower and Brewer 2003): single hues of falling lightness.
    fileprivate var stops: [Colour] {
      switch self {
      case .amount: Self.blues
      case .fault: Self.oranges
      case .none: Self.greys
      }
    }

    private static let blues: [Colour] = [
      0xF7FBFF, 0xDEEBF7, 0xC6DBEF, 0x9ECAE1, 0x6BAED6, 0x4292C6, 0x2171B5, 0x08519C, 0x08306B,
    ].map { Colour($0) }
    private static let oranges: [Colour] = [
      0xFFF5EB, 0xFEE6CE, 0xFDD0A2, 0xFDAE6B, 0xFD8D3C, 0xF16913, 0xD94801, 0xA63603, 0x7F2704,
    ].map { Colour($0) }
    private static let greys: [Colour] = [0xF0F0F0, 0xD9D9D9].map { Colour($0) }
  }

  /// The colour of a share from 0 to 1; values outside are taken for the nearest end.
  package static func colour(_ share: Double, of hue: Hue = .amount) -> Colour {
    let stops = hue.stops
    let place = min(max(share, 0), 1) * Double(stops.count - 1)
    let lower = min(Int(place), stops.count - 2)
    let rest = place - Double(lower)
    let (from, to) = (stops[lower], stops[lower + 1])
    return Colour(
      red: from.red + rest * (to.red - from.red), green: from.green + rest * (to.green - from.green),
      blue: from.blue + rest * (to.blue - from.blue))
  }

  /// The ink that reads better on a background.
  package static func ink(on background: Colour) -> Colour {
    let (dark, light) = (Colour(0x1B1F24), Colour(0xFFFFFF))
    return background.contrast(to: dark) >= background.contrast(to: light) ? dark : light
  }
}

/// Colours for things without an order: those of Okabe and Ito (2008), told apart with every common kind of colour
/// blindness. The yellow is left out, because lines in it vanish on white paper.
package enum Palette {
  package static let colours: [Colour] = [
    0x0072B2, 0xE69F00, 0x009E73, 0xCC79A7, 0x56B4E9, 0xD55E00, 0x5B5B5B,
  ]
  .map { Colour($0) }

  /// The colour of a thing's number; beyond the palette colours repeat, and the caller needs another mark.
  static func code(_ number: Int) -> String { colours[number % colours.count].code }

  static let ink = "#1b1f24"
  static let muted = "#57606a"
  static let grid = "#e3e6ea"
  static let axis = "#8c959f"
  static let warning = "#a40e26"
}
