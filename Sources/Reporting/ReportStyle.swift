/// The style sheet of a report: system fonts, one column of text, figures beside each other where they fit.
enum ReportStyle {
  static let css = """
    :root { color-scheme: light dark; }
    * { box-sizing: border-box; }
    body { margin: 0; background: #ffffff; color: #1b1f24; line-height: 1.5; font-size: 16px;
      font-family: system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif; }
    main { max-width: 1220px; margin: 0 auto; padding: 32px 40px 64px; }
    h1 { font-size: 28px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
    h2 { font-size: 22px; margin: 48px 0 4px; padding-top: 20px; border-top: 2px solid #1b1f24;
      overflow-wrap: anywhere; }
    h3 { font-size: 18px; margin: 36px 0 8px; }
    p { margin: 0 0 10px; max-width: 82ch; }
    .lead { color: #57606a; overflow-wrap: anywhere; }
    .findings { margin: 14px 0 0; padding-left: 22px; max-width: 92ch; }
    .findings li { margin: 0 0 4px; overflow-wrap: anywhere; }
    .tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0 0; padding: 0; list-style: none; }
    .tiles li { flex: 1 1 150px; max-width: 260px; border: 1px solid #e3e6ea; border-radius: 8px; padding: 10px 14px; }
    .tiles .name { display: block; color: #57606a; font-size: 13px; }
    .tiles .value { display: block; font-size: 24px; font-weight: 600; font-variant-numeric: tabular-nums; }
    .tiles .of { display: block; color: #57606a; font-size: 13px; }
    .tiles .warned { border-color: #a40e26; }
    .tiles .warned .value { color: #a40e26; }
    .figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr));
      gap: 28px 20px; margin: 16px 0 0; }
    figure { margin: 0; min-width: 0; }
    figure.wide { grid-column: 1 / -1; }
    figure h4 { font-size: 15px; margin: 0 0 6px; overflow-wrap: anywhere; }
    .plot { overflow-x: auto; }
    .plot svg { display: block; max-width: 100%; height: auto; }
    .table:focus-visible, .plot:focus-visible { outline: 2px solid #0a4f8f; outline-offset: 2px; }
    figcaption { color: #57606a; font-size: 13px; margin-top: 4px; max-width: 76ch; }
    .table { overflow-x: auto; margin: 16px 0 0; }
    table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
    caption { text-align: left; color: #57606a; font-size: 13px; padding: 0 0 6px; }
    th, td { padding: 5px 14px 5px 0; text-align: right; border-bottom: 1px solid #e3e6ea;
      vertical-align: top; font-weight: 400; white-space: nowrap; }
    th.words, td.words { text-align: left; }
    td.words { white-space: normal; overflow-wrap: break-word; }
    .many { font-size: 13px; } .many th, .many td { padding-right: 9px; }
    .text td.words { overflow-wrap: anywhere; }
    thead th { font-weight: 600; border-bottom: 1px solid #8c959f; vertical-align: bottom; }
    tbody th { font-weight: 600; }
    pre { background: #f3f4f6; border-radius: 6px; padding: 10px 14px; margin: 4px 0 14px; font-size: 13px;
      white-space: pre-wrap; overflow-wrap: anywhere; }
    dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; font-size: 14px; max-width: 100ch; }
    dt { font-weight: 600; } dd { margin: 0; }
    nav { margin: 10px 0 0; font-size: 14px; } nav a { margin-right: 14px; color: #0a4f8f; }
    @media screen and (prefers-color-scheme: dark) {
      body { background: #14171a; color: #e3e7eb; }
      .lead, figcaption, caption, .tiles .name, .tiles .of { color: #a3acb5; }
      .tiles li, th, td { border-color: #333a41; }
      h2 { border-color: #e3e7eb; } thead th { border-color: #6b7681; }
      .tiles .warned { border-color: #ff8a96; } .tiles .warned .value { color: #ff8a96; }
      pre { background: #1f2429; } nav a { color: #82b9f2; }
      .table:focus-visible, .plot:focus-visible { outline-color: #82b9f2; }
      /* Drawings are made for paper: light and dark change places and hues stay. Photographs stay as they are. */
      .plot svg:not(:has(image)), .plot svg:has(image) > text { filter: invert(0.92) hue-rotate(180deg); }
      .plot svg:has(image) > rect[fill="#ffffff"] { fill: #14171a; }
    }
    @media screen and (max-width: 640px) {
      main { padding: 18px 16px 40px; }
      h1 { font-size: 23px; } h2 { font-size: 20px; }
      .tiles li { flex-basis: 132px; padding: 8px 10px; } .tiles .value { font-size: 20px; }
      .plot svg { min-width: 460px; } .wide .plot svg { min-width: 860px; }
      dl { grid-template-columns: 1fr; gap: 0; } dd { margin: 0 0 8px; }
    }
    @page { margin: 14mm; }
    @media print {
      body { font-size: 10pt; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
      main { max-width: none; padding: 0; }
      .figures { grid-template-columns: 1fr 1fr; gap: 14px; }
      .plot, .table { overflow: visible; }
      table, .many { font-size: 8pt; } th, td { padding: 2px 8px 2px 0; white-space: normal; }
      td.words { overflow-wrap: anywhere; }
      figure, tr, .tiles li { break-inside: avoid; }
      thead { display: table-header-group; }
      h2, h3, h4, caption { break-after: avoid; }
      article { break-before: page; }
    }
    """
}
