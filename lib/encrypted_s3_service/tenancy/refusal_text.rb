# frozen_string_literal: true

module EncryptedS3Service
  # The text of a refused file ({AttachmentValidator}) where the application has none. It is not in files of I18n,
  # because their languages would become languages of the application (`I18n.available_locales`).
  # @api private
  module RefusalText
    # By language (ISO 639-1).
    TEXTS = {
      "de" => "liegt nicht im verschlüsselten Speicher. Bitte wählen Sie die Datei noch einmal aus",
      "en" => "was not uploaded to encrypted storage. Please choose the file again",
      "es" => "no se encuentra en el almacenamiento cifrado. Vuelva a elegir el archivo",
      "fr" => "ne se trouve pas dans le stockage chiffré. Veuillez choisir le fichier à nouveau",
      "it" => "non si trova nell'archivio cifrato. Scegliere di nuovo il file",
      "nl" => "staat niet in de versleutelde opslag. Kies het bestand opnieuw",
      "pl" => "nie znajduje się w zaszyfrowanym magazynie. Wybierz plik ponownie",
      "pt" => "não se encontra no armazenamento cifrado. Escolha o ficheiro novamente"
    }.freeze
    private_constant :TEXTS

    # @param locale [Symbol]
    # @return [String] in the locale's language or that of its fallbacks, otherwise in English
    def self.for(locale)
      locales = I18n.respond_to?(:fallbacks) ? I18n.fallbacks[locale] : [locale]
      languages = [*locales.map { |one| one.to_s[/\A[[:alpha:]]+/].to_s.downcase }, "en"]
      TEXTS.fetch(languages.find { |language| TEXTS.key?(language) })
    end
  end
end
