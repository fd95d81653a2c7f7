# frozen_string_literal: true

require "active_record"
require "ripper"
require "rails/generators/active_record/migration"

module EncryptedS3Service
  module Generators
    # Makes an application encrypt by tenant: the model of the tenants, the `Current` attribute, controllers, jobs, the
    # initializer and a migration. Existing files are kept. Changes that cannot be made are printed, with the lines to
    # add.
    # @api private
    module TenantFiles
      # A class that is not in a module.
      CLASS = /\A[A-Z][A-Za-z0-9]*\z/
      # Files of every application.
      CONTROLLER = "app/controllers/application_controller.rb"
      # (see CONTROLLER)
      JOB = "app/jobs/application_job.rb"
      # (see CONTROLLER)
      CURRENT = "app/models/current.rb"
      private_constant :CLASS, :CONTROLLER, :JOB, :CURRENT

      # @param base [Class] the generator
      # @return [void]
      def self.included(base)
        base.include ActiveRecord::Generators::Migration
      end

      private

      # @return [String] the class of the tenants
      def tenant_class = options[:tenants]

      # @return [String] its name for attributes, files and tables
      def tenant = tenant_class.underscore

      def tenant_model = "app/models/#{tenant}.rb"

      def concern = "Finds#{tenant_class}"

      def concern_file = "app/controllers/concerns/#{concern.underscore}.rb"

      def table = tenant_class.tableize

      def check_tenants
        refuse "--tenants must be the name of a class, like Organisation." unless tenant_class.match?(CLASS)
      end

      def add_tenant_files
        @by_hand = []
        add_tenant_model
        add_current_attribute
        create_unless_there(concern_file, "finds_tenant.rb")
        add_to_class(CONTROLLER, "ApplicationController", "include #{concern}",
                     "include EncryptedS3Service::Controller")
        add_to_class(JOB, "ApplicationJob", "include EncryptedS3Service::Job")
        configure_tenants
      end

      def add_tenant_model
        lines = ["include EncryptedS3Service::Tenant", "encrypts_files_with :#{options[:name]}, if: :encrypted?"]
        there = exist?(tenant_model)
        add_migration(there)
        return add_to_class(tenant_model, tenant_class, *lines) if there

        create_file(tenant_model, "class #{tenant_class} < ApplicationRecord\n#{indented(lines)}end\n")
      end

      # The column `encrypted`, and the table if the model is new.
      def add_migration(model_exists)
        name = model_exists ? "add_encrypted_to_#{table}" : "create_#{table}"
        return say_status(:exist, "the column encrypted of #{table}, or its migration", :blue) if encrypted_column?

        migration_template("#{model_exists ? "add_encrypted" : "create_tenants"}.rb", "#{db_migrate_path}/#{name}.rb")
      end

      # @return [String, nil] the type that the application's generators give to primary keys, as in Rails' templates
      def tenant_key_type
        type = Rails.application.config.generators.options.dig(:active_record, :primary_key_type)
        ", id: :#{type}" if type
      end

      # Looks into the schema and the migrations, because there may be no database on this machine.
      def encrypted_column?
        schema = exist?("db/schema.rb") ? text_of("db/schema.rb")[/create_table "#{table}".*?^  end$/m] : nil
        return true if schema.to_s.match?(/^\s*t\.\w+ "encrypted"/)

        files = Dir[File.expand_path("#{db_migrate_path}/*.rb", destination_root)]
        files.map { |file| File.read(file, encoding: "UTF-8") }
             .any? { |text| text.match?(/:#{table}\b/) && text.match?(/:encrypted\b/) }
      end

      def add_current_attribute
        line = "attribute :#{tenant}"
        unless exist?(CURRENT)
          return create_file(CURRENT, "class Current < ActiveSupport::CurrentAttributes\n  #{line}\nend\n")
        end
        return leave_class("Current", [line], "instead of its method #{tenant}") if current_method?
        # It may be declared together with others.
        return add_to_class(CURRENT, "Current", line) unless text_of(CURRENT).match?(/attribute\b.*:#{tenant}\b/)

        say_status(:exist, "#{line} in #{CURRENT}", :blue)
      end

      # A method of the same name would replace the reader of the attribute: Rails' authentication generator delegates
      # `user` to the session.
      def current_method?
        text_of(CURRENT).gsub(/\bto:.*/, "").match?(/^\s*(delegate\b.*:#{tenant}\b|def\s+(self\.)?#{tenant}\b(?!=))/)
      end

      def create_unless_there(file, source)
        return say_status(:exist, file, :blue) if exist?(file)

        template(source, file)
      end

      # Adds the missing lines at the beginning of a class, after the modules that it includes: one of them may find the
      # user, and the tenant through it.
      def add_to_class(file, name, *lines)
        missing = lines.reject { |line| exist?(file) && text_of(file).match?(/^\s*#{Regexp.escape(line)}\b/) }
        return say_status(:exist, "#{lines.join(", ")} in #{file}", :blue) if missing.empty?

        opening = exist?(file) ? text_of(file)[/^ *class #{name}\b(?! *=).*\n/] : nil
        return leave_class(name, missing, "there is none in #{file}") unless opening
        return leave_class(name, missing, "in #{file}") unless first_line?(opening)

        insert_into_file(file, indented(missing), after: /^#{Regexp.escape(with_includes(opening, text_of(file)))}/)
      end

      # @return [String] the text from the first line of the class to the last `include` before its methods
      def with_includes(opening, text)
        beginning = text[/^#{Regexp.escape(opening)}(?:(?! *(?:def|private|protected|class|module|end)\b).*\n)*/]
        beginning[/\A.*^ *include +[\w:]+ *(?:#[^\n]*)?\n/m] || opening
      end

      # False if the line also contains the `end`, or begins two classes: inserted lines would not be in the class.
      def first_line?(opening) = Ripper.sexp("#{opening}end") && !Ripper.sexp(opening)

      def leave_class(name, lines, place)
        @by_hand << "to the class #{name} (#{place}):\n#{indented(lines)}"
        say_status(:skip, "#{name}: add #{lines.join(", ")} (#{place})", :yellow)
      end

      def configure_tenants
        set("current_tenant", "Current.#{tenant}")
        set("active_storage_concerns", concern)
      end

      # Turns the commented setting in the initializer's template into a setting, or appends it.
      def set(name, value)
        file = self.class::INITIALIZER
        setting = "config.encrypted_s3_service.#{name} ="
        if text_of(file).match?(/^\s*(Rails\.application\.)?#{Regexp.escape(setting)}/)
          return say_status(:exist, "#{setting} in #{file}", :blue)
        end

        comment = /^( *)# #{Regexp.escape(setting)}.*$/
        return gsub_file(file, comment, "\\1#{setting} #{value.dump}") if text_of(file).match?(comment)

        append_to_file(file, "\nRails.application.#{setting} #{value.dump}\n")
      end

      # Prints the remaining steps at the end.
      def show_tenant_steps
        say "\nFiles of a tenant whose `encrypted` is true go to #{options[:name]}. Next: run `bin/rails " \
            "db:migrate`, and have #{concern_file} find the tenant as your application does: it reads " \
            "session[:#{tenant}_id]. If it needs the user that another concern finds, include it after that one, and " \
            "list both in active_storage_concerns."
        @by_hand.each { |lines| say "Could not be added. Add #{lines}" }
      end

      def text_of(file) = File.read(path(file), encoding: "UTF-8")

      def indented(lines) = lines.map { |line| "  #{line}\n" }.join
    end
  end
end
