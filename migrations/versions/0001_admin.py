"""Tables of the admin: accounts, and the forms that were saved

Revision: 0001, after: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "admin_role",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("description", sa.String(length=255)),
        sa.Column("permissions", sa.UnicodeText()),
        sa.Column("create_datetime", sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.Column("update_datetime", sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_role")),
        sa.UniqueConstraint("name", name=op.f("uq_admin_role_name")),
    )
    op.create_table(
        "admin_user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("username", sa.String(length=255)),
        sa.Column("password", sa.String(length=255)),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("fs_uniquifier", sa.String(length=64), nullable=False),
        sa.Column("fs_webauthn_user_handle", sa.String(length=64)),
        sa.Column("confirmed_at", sa.DateTime()),
        sa.Column("last_login_at", sa.DateTime()),
        sa.Column("current_login_at", sa.DateTime()),
        sa.Column("last_login_ip", sa.String(length=64)),
        sa.Column("current_login_ip", sa.String(length=64)),
        sa.Column("login_count", sa.Integer()),
        sa.Column("tf_primary_method", sa.String(length=64)),
        sa.Column("tf_totp_secret", sa.String(length=255)),
        sa.Column("tf_phone_number", sa.String(length=128)),
        sa.Column("mf_recovery_codes", sa.UnicodeText()),
        sa.Column("us_totp_secrets", sa.Text()),
        sa.Column("us_phone_number", sa.String(length=128)),
        sa.Column("create_datetime", sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.Column("update_datetime", sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_user")),
        sa.UniqueConstraint("email", name=op.f("uq_admin_user_email")),
        sa.UniqueConstraint("fs_uniquifier", name=op.f("uq_admin_user_fs_uniquifier")),
        sa.UniqueConstraint(
            "fs_webauthn_user_handle", name=op.f("uq_admin_user_fs_webauthn_user_handle")
        ),
        sa.UniqueConstraint("us_phone_number", name=op.f("uq_admin_user_us_phone_number")),
        sa.UniqueConstraint("username", name=op.f("uq_admin_user_username")),
    )
    op.create_table(
        "admin_user_role",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("role_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["role_id"],
            ["admin_role.id"],
            name=op.f("fk_admin_user_role_role_id_admin_role"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["admin_user.id"],
            name=op.f("fk_admin_user_role_user_id_admin_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "role_id", name=op.f("pk_admin_user_role")),
    )
    op.create_table(
        "admin_form_token",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.Text()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_admin_form_token")),
    )
    op.create_index(op.f("ix_admin_form_token_created_at"), "admin_form_token", ["created_at"])


def downgrade() -> None:
    op.drop_table("admin_form_token")
    op.drop_table("admin_user_role")
    op.drop_table("admin_user")
    op.drop_table("admin_role")
