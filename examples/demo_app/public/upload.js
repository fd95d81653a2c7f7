// Extends Active Storage's script for the upload form: lists the chosen files, accepts dropped ones, and shows the
// progress of each. Without JavaScript the form sends its files itself.
const form = document.querySelector("form.upload")
const input = form.querySelector("input[type=file]")
const button = form.querySelector("input[type=submit]")
const drop = form.querySelector(".drop")
const list = form.querySelector(".chosen")
const problem = form.querySelector(".problem")
const state = form.querySelector(".state")
const template = document.getElementById("chosen-file")
const rows = new Map()

document.documentElement.classList.add("scripted")

function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
}

function row(file) {
  const item = template.content.firstElementChild.cloneNode(true)
  item.querySelector(".name").textContent = file.name
  item.querySelector(".size").textContent = size(file.size)
  const progress = item.querySelector("progress")
  progress.setAttribute("aria-label", `Upload of ${file.name}`)
  // There is no progress of a form that the browser sends itself.
  progress.hidden = !input.dataset.directUploadUrl
  return item
}

function listChosen() {
  rows.clear()
  for (const file of input.files) rows.set(file, row(file))
  list.replaceChildren(...rows.values())
  list.hidden = rows.size === 0
  problem.hidden = true
  state.textContent = ""
}

function show(file, name, percent) {
  const item = rows.get(file)
  if (!item) return
  item.dataset.state = name
  item.querySelector("progress").value = percent
}

function dragged(event) {
  if (!event.dataTransfer.types.includes("Files") || input.disabled) return
  event.preventDefault()
  drop.classList.toggle("over", event.type === "dragover")
  if (event.type !== "drop") return

  // Keeps the files that were chosen before.
  const files = new DataTransfer()
  for (const file of [...input.files, ...event.dataTransfer.files]) files.items.add(file)
  input.files = files.files
  listChosen()
}

input.addEventListener("change", listChosen)
for (const type of ["dragover", "dragleave", "drop"]) drop.addEventListener(type, dragged)

form.addEventListener("direct-uploads:start", () => {
  // After a failure all files are sent again. Those that were stored must not be attached twice.
  for (const stored of form.querySelectorAll(`input[type=hidden][name="${input.name}"]`)) stored.remove()
  document.querySelector(".notice")?.remove()
  button.disabled = true
  form.setAttribute("aria-busy", "true")
  problem.hidden = true
})
form.addEventListener("direct-upload:start", ({ detail }) => {
  show(detail.file, "uploading", 0)
  state.textContent = `Encrypting ${detail.file.name} on its way…`
})
form.addEventListener("direct-upload:progress", ({ detail }) => show(detail.file, "uploading", detail.progress))
form.addEventListener("direct-upload:error", (event) => {
  event.preventDefault()
  const { file, error } = event.detail
  show(file, "failed", 0)
  problem.textContent = `${file.name} was not stored, and no part of it remains. ${error}`
  problem.hidden = false
  state.textContent = ""
})
form.addEventListener("direct-upload:end", ({ detail }) => {
  if (rows.get(detail.file)?.dataset.state === "uploading") show(detail.file, "done", 100)
})
form.addEventListener("direct-uploads:end", () => {
  button.disabled = false
  form.removeAttribute("aria-busy")
})

// Shows the file's extension instead of a picture that cannot be created.
function withoutPicture(image) {
  image.hidden = true
}
for (const image of document.querySelectorAll(".media img")) {
  if (image.complete && image.naturalWidth === 0) withoutPicture(image)
  image.addEventListener("error", () => withoutPicture(image))
}
