# frozen_string_literal: true

# Scripts that find defects in the accessibility of a page.
module Legibility
  # Contrast of text as in WCAG 2.2, success criterion 1.4.3.
  CONTRAST = 4.5

  # Texts with too little contrast to their background. Colours must be opaque or fully transparent.
  FAINT_TEXTS = <<~JAVASCRIPT.freeze
    (() => {
      const channels = (colour) => colour.match(/[\\d.]+/g).map(Number)
      const opaque = (colour) => channels(colour)[3] !== 0
      const luminance = (colour) => channels(colour).slice(0, 3).map((value) => value / 255)
        .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
        .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0)
      const behind = (element) => {
        const colour = getComputedStyle(element).backgroundColor
        return opaque(colour) || !element.parentElement ? colour : behind(element.parentElement)
      }
      const contrast = (element) => {
        const [dark, light] = [getComputedStyle(element).color, behind(element)].map(luminance).sort((a, b) => a - b)
        return (light + 0.05) / (dark + 0.05)
      }
      const texts = (element) => [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim())
      return [...document.body.querySelectorAll("*:not(script, template)")]
        .filter((element) => texts(element).length && element.checkVisibility() && contrast(element) < #{CONTRAST})
        .map((element) => texts(element)[0].data.trim())
    })()
  JAVASCRIPT

  # Controls without an accessible name.
  NAMELESS = <<~JAVASCRIPT
    [...document.querySelectorAll("a, button, input:not([type=hidden]), video, audio, progress, [role=region]")]
      .filter((element) => !(element.ariaLabel || element.labels?.length || element.value || element.innerText?.trim() ||
                             element.querySelector("img")?.alt))
      .map((element) => element.outerHTML)
  JAVASCRIPT
end
