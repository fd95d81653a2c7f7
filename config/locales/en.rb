# frozen_string_literal: true

{
  en: {
    errors: {
      messages: {
        stored_elsewhere: "was not uploaded to encrypted storage. Please choose the file again"
      }
    }
  }
}
